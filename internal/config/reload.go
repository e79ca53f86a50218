package config

import "mqgateway/internal/config/tree"

// Change is a key whose value differs between two configurations; see [Changes].
type Change = tree.Change

// Changes lists the keys that differ between the running configuration and another
// one, with their values, in the order of docs/configuration.md.
func Changes(running, other Config) []Change { return tree.Changes(running, other) }

// Onto is the running configuration with those keys of l that apply without a restart.
// The error is of type [Problems]: a correct configuration may have keys that fit only
// beside others that need a restart.
func (l *Loaded) Onto(running Config) (Config, error) {
	tree.Take(&running, l.Config)
	l.tree.Check(running.Validate())
	if problems := l.tree.Problems(); len(problems) > 0 {
		return Config{}, problems
	}
	return running, nil
}
