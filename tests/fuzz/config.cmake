zonda_fuzz(fuzz_config SOURCES config.cpp LINK zonda::core
           SEEDS ${CMAKE_SOURCE_DIR}/configs ${CMAKE_CURRENT_SOURCE_DIR}/seeds/config)
zonda_fuzz(fuzz_words SOURCES words.cpp LINK zonda::core SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/words)
