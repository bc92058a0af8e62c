# What an archive's folder holds: checksums are made right, so that the readers behind them are reached.
foreach(part manifest chunks)
  zonda_fuzz(fuzz_archive_${part} SOURCES archive_${part}.cpp LINK zonda::ingest_archive dep::json
             SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/archive_${part})
endforeach()
