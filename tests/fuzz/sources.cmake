# The readers of other people's files. They name a variable's fault with Error(data) or read it; they never crash.
foreach(kind zarr grib netcdf)
  zonda_fuzz(fuzz_${kind} SOURCES ${kind}.cpp LINK zonda::ingest_sources dep::json
             SEEDS ${CMAKE_CURRENT_SOURCE_DIR}/seeds/${kind})
endforeach()
