#include "inference/edge/correction/sensor_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

using ::testing::HasSubstr;

TEST(SensorReport, UnitsBecomeSi) {
  const auto reports = parse_reports_csv(
      "time,variable,value,unit\r\n2026-01-10T06:10Z,2t,28.4,degC\r\n\n2026-01-10T06:10Z,2t,83.12,degF\n"
      "2026-01-10T06:10Z,msl,1013.25,hPa\n2026-01-10T06:10Z,10si,36,km h-1\n2026-01-10T06:10Z,10si,10,kt\n"
      "2026-01-10T06:10Z,tp,2.5,mm",
      "a.csv");
  ASSERT_EQ(reports.size(), 6u);
  const double expected[] = {301.55, 301.55, 101325, 10, 5.144444444444444, 0.0025};
  for (std::size_t i = 0; i < reports.size(); ++i) EXPECT_NEAR(reports[i].value, expected[i], 1e-9 * expected[i]);
  EXPECT_EQ(reports[0].time, parse_time("2026-01-10T06:10"));
}

std::string csv_fault(const std::string& text) {
  try {
    parse_reports_csv(text, "a.csv");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    return error.what();
  }
  return "";
}

TEST(SensorReport, CsvFaultsNameLineAndColumn) {
  EXPECT_THAT(csv_fault(""), HasSubstr("empty"));
  EXPECT_THAT(csv_fault("time,value\n"), HasSubstr("a.csv:1: expected the heading"));
  const std::string head = "time,variable,value,unit\n";
  EXPECT_THAT(csv_fault(head + "2026-01-10T06,2t,1\n"), HasSubstr("a.csv:2: expected 4 columns"));
  EXPECT_THAT(csv_fault(head + "2026-01-10T06,2t,x,K\n"), HasSubstr("a.csv:2: value: 'x'"));
  EXPECT_THAT(csv_fault(head + "2026-01-10T06,2t,nan,K\n"), HasSubstr("'nan' is not a number"));
  EXPECT_THAT(csv_fault(head + "yesterday,2t,1,K\n"), HasSubstr("a.csv:2: time"));
  EXPECT_THAT(csv_fault(head + "2026-01-10T06,2t,1,hPA\n"), HasSubstr("did you mean 'hPa'"));
  EXPECT_THAT(csv_fault(head + "2026-01-10T06,2\"t,1,K\n"), HasSubstr("a.csv:2: variable"));
  EXPECT_THAT(csv_fault(head + "2026-01-10T06,2t,1,K,5\n"), HasSubstr("unknown unit 'K,5'"));
}

TEST(SensorReport, JsonFaultsNameTheMember) {
  const auto fault = [](const std::string& text) -> std::string {
    try {
      parse_reports_json(text, "body");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(fault("["), HasSubstr("not JSON"));
  EXPECT_THAT(fault("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(fault(R"({"report":[]})"), HasSubstr("unknown member 'report'"));
  EXPECT_THAT(fault(R"({"reports":[{"time":"2026-01-10","variable":"2t","value":"8"}]})"), HasSubstr("value"));
  EXPECT_THAT(fault(R"({"reports":[{"time":"2026-01-10","variable":"2t","value":8,"qc":1}]})"), HasSubstr("qc"));
  EXPECT_EQ(fault(R"({"reports":[{"time":"2026-01-10","variable":"2t","value":8}]})"), "");
}

}  // namespace
}  // namespace zonda::edge
