zonda_benchmark(bench_step SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_step.cpp LINK zonda::model_network dep::json)
target_link_libraries(bench_step PRIVATE dep::openmp)
zonda_benchmark(bench_ops SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_ops.cpp LINK zonda::model_network)
target_link_libraries(bench_ops PRIVATE dep::openmp)
zonda_benchmark(bench_block SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_block.cpp LINK zonda::model_network dep::dnnl dep::json)
target_link_libraries(bench_block PRIVATE dep::openmp)

# PyTorch's results and memory beside ours; times are measured by hand (see the scripts).
set(ZONDA_TORCH_PYTHON /usr/bin/python3 CACHE FILEPATH "A Python with PyTorch, for tests/peers")
set(peers ${CMAKE_SOURCE_DIR}/tests/peers)
add_test(NAME peers.torch_fixtures
  COMMAND ${ZONDA_TORCH_PYTHON} ${peers}/torch_fixtures.py --check ${CMAKE_SOURCE_DIR}/tests/model/fixtures)
add_test(NAME peers.torch_block
  COMMAND ${ZONDA_TORCH_PYTHON} ${peers}/torch_block.py --program $<TARGET_FILE:bench_block> --equal-only --only width:256/threads:1)
add_test(NAME peers.torch_step
  COMMAND ${ZONDA_TORCH_PYTHON} ${peers}/torch_step.py --program $<TARGET_FILE:bench_step> --equal-only --only micro:8/threads:1)
add_test(NAME peers.torch_memory
  COMMAND ${ZONDA_TORCH_PYTHON} ${peers}/torch_step.py --program $<TARGET_FILE:bench_step> --memory --max-memory 0.7
          --only threads:2)
set_tests_properties(peers.torch_fixtures peers.torch_block peers.torch_step peers.torch_memory
  PROPERTIES LABELS peers SKIP_RETURN_CODE 77 TIMEOUT 600 PROCESSORS 2 ENVIRONMENT OMP_WAIT_POLICY=passive)
