# Under mpirun: tests/mpirun.sh 4 build/release/bin/bench_ranks
add_executable(bench_ranks bench_ranks.cpp)
target_link_libraries(bench_ranks PRIVATE zonda::model_training zonda::parallel zonda_flags)
