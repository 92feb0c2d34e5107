# The measuring tools of bench/, which nothing but the targets of `make bench…` builds.

add_executable(bench_load EXCLUDE_FROM_ALL
    bench/load.c bench/answer.c bench/ask.c bench/proc.c bench/tool.c)
target_link_libraries(bench_load PRIVATE o2o_options dep_openssl m)

add_executable(bench_upstream EXCLUDE_FROM_ALL bench/upstream.c bench/ask.c bench/tool.c)
target_link_libraries(bench_upstream PRIVATE o2o_options dep_openssl)

add_executable(bench_micro EXCLUDE_FROM_ALL bench/micro.c bench/ask.c bench/tool.c)
target_link_libraries(bench_micro PRIVATE o2o_codec o2o_net o2o_base dep_openssl)

add_custom_target(bench_tools DEPENDS bench_load bench_upstream)

add_executable(bench_pool EXCLUDE_FROM_ALL bench/pool.c bench/tool.c)
target_link_libraries(bench_pool PRIVATE o2o_core o2o_base dep_openssl)
