# OMP_NUM_THREADS=1 build/release/bin/bench_overlap
add_executable(bench_overlap bench_overlap.cpp)
target_link_libraries(bench_overlap PRIVATE zonda::model_training zonda::parallel zonda_flags)
