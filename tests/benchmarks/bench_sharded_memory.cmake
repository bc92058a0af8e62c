# Under mpirun: tests/mpirun.sh 4 build/release/bin/bench_sharded_memory
add_executable(bench_sharded_memory bench_sharded_memory.cpp)
target_link_libraries(bench_sharded_memory PRIVATE zonda::model_training zonda::parallel zonda_flags)
