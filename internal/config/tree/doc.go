// Package tree reads configuration files into a struct.
//
// Each file becomes a tree whose nodes know where they stand; the struct's type
// says which keys exist. The trees are laid over each other, the environment over
// them, and the result is decoded by reflection. Problems are collected, never
// returned one by one. The package knows nothing of the keys of the gateway.
//
// Struct tags:
//
//   - yaml:"name" is the key. Names are compared without case and dashes; keys of
//     Go maps are data, and taken as they are.
//   - unit:"s" is what a bare number means: ms or s for durations (ms when there is
//     no tag), B, KB or MB for sizes, which are int64 with this tag.
//   - enum:"a|alias,b" lists what a text may be, without case.
//   - alias:"other/B,third" lists further names of a key, with the unit of a bare
//     number there.
//   - lift:"size" on a struct lets its key size stand beside the struct, too.
//   - shared:"timeout" on a map of structs lets a scalar under that name set the
//     field of every entry that has none of its own.
package tree
