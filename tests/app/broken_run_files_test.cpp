// Each broken run file gives its exit code and one message. The first line of a file says what is expected:
// `# VERB exits CODE: REGULAR EXPRESSION`.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code;
  std::string text;
};

Outcome run(const std::string& words) {
  const std::string command = std::string(ZONDA_BINARY_DIR "/bin/zonda ") + words + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  Outcome outcome{};
  std::array<char, 4096> part{};
  for (std::size_t n; (n = std::fread(part.data(), 1, part.size(), pipe)) > 0;) outcome.text.append(part.data(), n);
  const int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(ZONDA_SOURCE_DIR "/tests/app/broken_run_files"))
    names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

class BrokenRunFile : public testing::TestWithParam<std::string> {};

TEST_P(BrokenRunFile, gives_its_one_message) {
  const fs::path path = fs::path(ZONDA_SOURCE_DIR "/tests/app/broken_run_files") / (GetParam() + ".yaml");
  std::ifstream in(path);
  std::string first;
  std::getline(in, first);
  std::smatch parts;
  ASSERT_TRUE(std::regex_match(first, parts, std::regex("# ([a-z]+) exits ([0-9]+): (.*)"))) << first;
  const fs::path directory = fs::path(testing::TempDir()) / ("zonda_broken_" + GetParam());
  const Outcome outcome = run(parts[1].str() + " '" + path.string() + "' 'run.directory=" + directory.string() + "'");
  EXPECT_EQ(outcome.exit_code, std::stoi(parts[2])) << outcome.text;
  EXPECT_TRUE(std::regex_search(outcome.text, std::regex(parts[3].str())))
      << "expected: " << parts[3] << "\nfound: " << outcome.text;
  // One fault, one line; nothing is half-done.
  std::istringstream lines(outcome.text);
  int errors = 0;
  for (std::string line; std::getline(lines, line);) errors += line.empty() ? 0 : 1;
  EXPECT_EQ(errors, 1) << outcome.text;
  fs::remove_all(directory);
}

INSTANTIATE_TEST_SUITE_P(app, BrokenRunFile, testing::ValuesIn(cases()), [](const auto& test) { return test.param; });

TEST(BrokenRunFiles, that_are_not_there_or_not_text_are_named) {
  const Outcome none = run("validate nowhere/run.yaml");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_NE(none.text.find("nowhere/run.yaml: no such file"), std::string::npos) << none.text;
  const Outcome folder = run("validate " ZONDA_SOURCE_DIR);
  EXPECT_EQ(folder.exit_code, 2);
  EXPECT_NE(folder.text.find("a folder, expected a YAML file"), std::string::npos) << folder.text;
  const Outcome program = run("validate " ZONDA_BINARY_DIR "/bin/zonda");
  EXPECT_EQ(program.exit_code, 2);
  EXPECT_NE(program.text.find("not a text file"), std::string::npos) << program.text.substr(0, 500);
}

TEST(BrokenRunFiles, with_several_faults_name_all_in_order) {
  const fs::path path = fs::path(testing::TempDir()) / "zonda_several_faults.yaml";
  std::ofstream(path) << "train:\n  steps: many\n  bacth: 3\nforecast:\n  lead: never\n";
  const Outcome outcome = run("validate '" + path.string() + "' train.seed=x");
  EXPECT_EQ(outcome.exit_code, 2);
  std::size_t last = 0;
  for (const char* word : {"train.seed", ":2:10: train.steps", ":3:3: train.bacth", ":5:9: forecast.lead"}) {
    const std::size_t at = outcome.text.find(word);
    ASSERT_NE(at, std::string::npos) << word << "\n" << outcome.text;
    EXPECT_GE(at, last) << outcome.text;
    last = at;
  }
  fs::remove(path);
}

TEST(CommandLine, refuses_what_it_does_not_know) {
  EXPECT_EQ(run("").exit_code, 2);
  EXPECT_EQ(run("fly").exit_code, 2);
  EXPECT_EQ(run("validate").exit_code, 2);
  EXPECT_EQ(run("validate --colour x.yaml").exit_code, 2);
  EXPECT_EQ(run("--help").exit_code, 0);
  for (const char* verb : {"run", "simulate", "ingest", "train", "forecast", "verify", "validate", "plan", "inspect",
                           "schema", "version"}) {
    const Outcome help = run(std::string(verb) + " --help");
    EXPECT_EQ(help.exit_code, 0) << verb;
    EXPECT_NE(help.text.find(std::string("Example:\n  zonda ") + verb), std::string::npos) << help.text;
  }
}

}  // namespace
