// Package config loads the configuration of the gateway.
//
// Every package owns its Config struct; [Config] puts them together in the shape
// of the YAML. [Load] reads files, lays them over each other and the environment
// over them, decodes, fills in what depends on the surroundings, and checks the
// whole. It reports every problem at once, each with file, line and column. A
// [Watcher] loads it again when files change; [Changes] tells the difference, and
// [Loaded.Onto] takes over what applies without a restart.
//
// What is not about this gateway in particular lives in the package tree: files
// as trees with origins, merging, and decoding by struct tags. A new block needs a
// field here, its default in [Default] and its checks in [Config.Validate].
package config
