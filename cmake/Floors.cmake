# The house's rules for targets: one folder, one static library zonda_<folder> with alias zonda::<folder>;
# its link list is the floor rule (see docs/architecture.md).
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_CXX_FLAGS_RELEASE "-O3")  # assertions stay on
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# Objects are shared between checkouts in different folders.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

add_library(zonda_flags INTERFACE)
target_compile_options(zonda_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror>)
target_include_directories(zonda_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # g++ 12 at -O3 sees overlaps and overflows in std::string and fmt that are not there (GCC bugs 105651, 105329).
  target_compile_options(zonda_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-stringop-overflow>)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(zonda_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-unknown-warning-option -Wno-pass-failed>)
endif()
if(ZONDA_SANITIZER)
  target_compile_options(zonda_flags INTERFACE -fsanitize=${ZONDA_SANITIZER} -fno-omit-frame-pointer)
  target_link_options(zonda_flags INTERFACE -fsanitize=${ZONDA_SANITIZER})
endif()
if(ZONDA_FUZZ)
  target_compile_options(zonda_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined)
  target_link_options(zonda_flags INTERFACE -fsanitize=address,undefined)
endif()

# zonda_library(<name> SOURCES a.cpp ... LINK zonda::core ... PRIVATE_LINK lib ...)
# LINK: the floors (and libraries) whose headers this folder's headers may include.
# PRIVATE_LINK: libraries that only its .cpp files see.
function(zonda_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(zonda_${name} STATIC ${ARG_SOURCES})
  add_library(zonda::${name} ALIAS zonda_${name})
  target_link_libraries(zonda_${name} PUBLIC zonda_flags ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
endfunction()
