# What a station runs, and the tests of it that need nothing else.
foreach(folder core parallel ingest/forcing model/tensor model/ops model/network model/forecast_state inference/bundle
               inference/edge app/station)
  add_subdirectory(${folder})
endforeach()
if(ZONDA_TESTS)
  add_subdirectory(tests)
endif()
