# Operations beside PyTorch's: rounding errors as a test, times by hand (tests/peers/torch_ops.py).
add_executable(operation_sample ${CMAKE_CURRENT_LIST_DIR}/operation_sample.cpp)
target_link_libraries(operation_sample PRIVATE zonda_flags zonda::model_ops)
set(ZONDA_TORCH_PYTHON /usr/bin/python3 CACHE FILEPATH "A Python with PyTorch, for tests/peers")
add_test(NAME peers.torch_ops
  COMMAND ${ZONDA_TORCH_PYTHON} ${CMAKE_SOURCE_DIR}/tests/peers/torch_ops.py --errors $<TARGET_FILE:operation_sample>)
set_tests_properties(peers.torch_ops
  PROPERTIES LABELS peers SKIP_RETURN_CODE 77 TIMEOUT 120 ENVIRONMENT OMP_WAIT_POLICY=passive)
