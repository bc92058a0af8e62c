# Observation files of others: values, counted rejections or one Error; never a crash.
foreach(kind bufr csv odb)
  zonda_fuzz(fuzz_${kind} SOURCES ${kind}.cpp LINK zonda::ingest_observation_files
             SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/${kind})
endforeach()
