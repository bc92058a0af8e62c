# What a station reads that came over the air.
zonda_fuzz(fuzz_feed SOURCES feed.cpp LINK zonda::edge_feed SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/feed)
zonda_fuzz(fuzz_forecast_file SOURCES forecast_file.cpp LINK zonda::edge_forecast
           SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/forecast_file)
zonda_fuzz(fuzz_trust SOURCES trust.cpp LINK zonda::edge_catalogue zonda::edge_trust dep::json
           SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/trust)
zonda_fuzz(fuzz_sensor_reports SOURCES sensor_reports.cpp LINK zonda::edge_correction
           SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/sensor_reports)
zonda_fuzz(fuzz_delta SOURCES delta.cpp LINK zonda::edge_delta zonda::inference_bundle dep::json RUNS 400
           SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/delta)
