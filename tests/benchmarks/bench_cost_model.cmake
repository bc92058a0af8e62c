add_executable(bench_cost_model bench_cost_model.cpp)
target_link_libraries(bench_cost_model PRIVATE zonda::model_training zonda::ingest_archive zonda::parallel dep::json zonda_flags)
