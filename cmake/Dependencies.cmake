# Outside libraries, each as one target dep::<name>; those of stations first. All come from Debian 12 (scripts/install-deps.sh).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)

# Headers of others are system headers: their warnings are not ours to mend.
function(zonda_dependency name)
  cmake_parse_arguments(ARG "" "" "LINK;INCLUDE" ${ARGN})
  add_library(dep_${name} INTERFACE)
  add_library(dep::${name} ALIAS dep_${name})
  target_link_libraries(dep_${name} INTERFACE ${ARG_LINK})
  if(ARG_INCLUDE)
    target_include_directories(dep_${name} SYSTEM INTERFACE ${ARG_INCLUDE})
  endif()
endfunction()

find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(YAMLCPP REQUIRED IMPORTED_TARGET yaml-cpp)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)

zonda_dependency(fmt LINK fmt::fmt)
zonda_dependency(spdlog LINK spdlog::spdlog)
zonda_dependency(json LINK nlohmann_json::nlohmann_json)
zonda_dependency(cli LINK CLI11::CLI11)
zonda_dependency(yaml LINK PkgConfig::YAMLCPP)
zonda_dependency(sodium LINK PkgConfig::SODIUM)
zonda_dependency(zstd LINK PkgConfig::ZSTD)
zonda_dependency(curl LINK PkgConfig::CURL)
zonda_dependency(httplib LINK PkgConfig::HTTPLIB)
zonda_dependency(threads LINK Threads::Threads)
zonda_dependency(openmp LINK OpenMP::OpenMP_CXX)

if(ZONDA_TESTS)
  find_package(GTest REQUIRED)
endif()
if(ZONDA_STATION_ONLY)
  return()
endif()

pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(BLOSC REQUIRED IMPORTED_TARGET blosc)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo)
pkg_check_modules(PROJ REQUIRED IMPORTED_TARGET proj)
find_path(UDUNITS2_INCLUDE udunits2.h REQUIRED)
find_library(UDUNITS2_LIBRARY udunits2 REQUIRED)
find_path(KISSFFT_INCLUDE kissfft.hh PATH_SUFFIXES kissfft REQUIRED)
find_path(EIGEN_INCLUDE Eigen/Core PATH_SUFFIXES eigen3 REQUIRED)

zonda_dependency(zlib LINK PkgConfig::ZLIB)
zonda_dependency(blosc LINK PkgConfig::BLOSC)
zonda_dependency(lz4 LINK PkgConfig::LZ4)
zonda_dependency(cairo LINK PkgConfig::CAIRO)
zonda_dependency(proj LINK PkgConfig::PROJ)
zonda_dependency(udunits LINK ${UDUNITS2_LIBRARY} INCLUDE ${UDUNITS2_INCLUDE})
zonda_dependency(kissfft INCLUDE ${KISSFFT_INCLUDE})  # header only: the double-precision template
zonda_dependency(eigen INCLUDE ${EIGEN_INCLUDE})

find_package(MPI REQUIRED COMPONENTS C)
zonda_dependency(mpi LINK MPI::MPI_C)

# One HDF5 flavour everywhere: the one that parallel NetCDF uses.
pkg_check_modules(HDF5 REQUIRED IMPORTED_TARGET hdf5-openmpi)
zonda_dependency(hdf5 LINK PkgConfig::HDF5)
# mpi.h's old C++ classes would want a library of their own.
foreach(name mpi hdf5)
  target_compile_definitions(dep_${name} INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
endforeach()

# Debian's netcdf-mpi.pc omits its include folder.
find_library(NETCDF_MPI_LIBRARY netcdf_mpi REQUIRED)
find_path(NETCDF_MPI_INCLUDE netcdf_par.h PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}/netcdf/mpi/include
          PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/netcdf/mpi/include /usr/lib REQUIRED)
zonda_dependency(netcdf LINK ${NETCDF_MPI_LIBRARY} dep::hdf5 INCLUDE ${NETCDF_MPI_INCLUDE})

find_package(eccodes REQUIRED)
zonda_dependency(eccodes LINK eccodes)

# ODB-2; its CMake package wants eckit's, which its C interface does not need.
find_library(ODC_LIBRARY odccore REQUIRED)
find_path(ODC_INCLUDE odc/api/odc.h REQUIRED)
zonda_dependency(odc LINK ${ODC_LIBRARY} INCLUDE ${ODC_INCLUDE})

# Debian's dnnl-config.cmake wants OpenCL headers, which the CPU engine does not need.
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.hpp REQUIRED)
zonda_dependency(dnnl LINK ${DNNL_LIBRARY} INCLUDE ${DNNL_INCLUDE})

# The exchange format of networks, and its messages.
find_package(Protobuf REQUIRED)
find_path(ONNX_INCLUDE onnx/onnx_pb.h REQUIRED)
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
find_library(ONNX_LIBRARY onnx REQUIRED)
zonda_dependency(onnx LINK ${ONNX_LIBRARY} ${ONNX_PROTO_LIBRARY} protobuf::libprotobuf INCLUDE ${ONNX_INCLUDE})
target_compile_definitions(dep_onnx INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)

# CUDA, cuDNN and NCCL are optional; a build without them is complete.
set(ZONDA_WITH_CUDA OFF)
if(ZONDA_CUDA)
  include(Cuda)
endif()

if(ZONDA_TESTS)
  find_package(benchmark REQUIRED)
endif()
