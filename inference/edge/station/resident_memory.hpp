#pragma once
// A station has little memory to spare, and most of what a program has touched it needs once.
namespace zonda::edge {

/// Before the first thread starts: few arenas, so that what one thread frees another uses.
void prefer_small_memory();

/// Gives back free heap, and the pages of programs and libraries, which were read to start, to compile kernels and to
/// set up a session; those in use are mapped again from the system's cache as they are touched.
void release_idle_memory();

}  // namespace zonda::edge
