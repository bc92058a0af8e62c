zonda_benchmark(bench_step SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_step.cpp LINK zonda::model_network)
target_link_libraries(bench_step PRIVATE dep::openmp)
zonda_benchmark(bench_ops SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_ops.cpp LINK zonda::model_network)
target_link_libraries(bench_ops PRIVATE dep::openmp)
