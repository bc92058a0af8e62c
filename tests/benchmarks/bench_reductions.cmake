# Under mpirun: tests/mpirun.sh 4 build/release/bin/bench_reductions
add_executable(bench_reductions bench_reductions.cpp)
target_link_libraries(bench_reductions PRIVATE zonda::parallel zonda_flags)
