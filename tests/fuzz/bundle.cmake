# The description of a model that a station is sent.
zonda_fuzz(fuzz_bundle SOURCES bundle.cpp LINK zonda::inference_bundle
           SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/bundle RUNS 20000)
