zonda_benchmark(bench_archive SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_archive.cpp LINK zonda::ingest_archive)
