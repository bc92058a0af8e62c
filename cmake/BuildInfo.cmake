# Writes generated/build_info.hpp: version, commit, compiler. Run at build time, so that the commit is the one that was built.
execute_process(COMMAND git rev-parse --short=10 HEAD WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git status --porcelain --untracked-files=no WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE changes
                ERROR_QUIET)
set(version ${VERSION})
if(commit)
  string(APPEND version "+git.${commit}")
endif()
if(changes)
  string(APPEND version ".dirty")
endif()
set(contents "#pragma once
#define ZONDA_VERSION \"${version}\"
#define ZONDA_BUILD \"${COMPILER}, ${BUILD_TYPE}, CUDA ${CUDA}, cuDNN ${CUDNN}, NCCL ${NCCL}\"
")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT before STREQUAL contents)
  file(WRITE ${OUTPUT} "${contents}")
endif()
