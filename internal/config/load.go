package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"mqgateway/internal/config/tree"
)

// Place is where something was written.
type Place = tree.Place

// Problem is one mistake in a configuration, or one thing worth a warning. It never
// holds a secret.
type Problem = tree.Problem

// Problems are all mistakes of a configuration, sorted by place. As an error they
// are one line each: file:line:column: key: text (hint).
type Problems = tree.Problems

// UnknownKeys says what a key is that the gateway does not know.
type UnknownKeys string

// The treatments of unknown keys.
const (
	// UnknownKeysError makes them mistakes. It is what the empty text means, too.
	UnknownKeysError UnknownKeys = "error"
	// UnknownKeysWarn takes them with a warning.
	UnknownKeysWarn UnknownKeys = "warn"
)

// ParseUnknownKeys reads the value of a flag.
func ParseUnknownKeys(text string) (UnknownKeys, error) {
	switch u := UnknownKeys(text); u {
	case UnknownKeysError, UnknownKeysWarn:
		return u, nil
	default:
		return "", fmt.Errorf("%q is neither error nor warn", text)
	}
}

// Options are what loading depends on besides the files.
type Options struct {
	// Environ are the variables of the process, as os.Environ gives them. nil is
	// an empty environment.
	Environ []string
	// UnknownKeys is what an unknown key is. Default: an error.
	UnknownKeys UnknownKeys
	// ReadFile reads files, those of ${file:} too. Default: from the disk.
	ReadFile func(name string) ([]byte, error)
}

// Loaded is a configuration that was read.
type Loaded struct {
	Config Config
	// Warnings are what was accepted, but is worth a line in the log.
	Warnings []Problem

	tree *tree.Tree
	// read are the files that were read, as they were then.
	read fingerprints
}

const (
	// variablePrefix begins the environment variables that set keys.
	variablePrefix = "GATEWAY_"
	// weakestFile is the name of the file that yields to all others.
	weakestFile = "common-config.yml"
)

// Load reads the files, of which the one named first is the strongest, lays the
// environment over them, and checks the whole. The error is of type [Problems] and
// holds everything that is wrong. What is returned is never nil: beside an error
// it has the warnings, and the part of the configuration that could be read.
func Load(files []string, opts Options) (*Loaded, error) {
	read := fingerprints{}
	t := tree.Read(Config{}, byStrength(files), tree.Options{
		Environ:         opts.Environ,
		Prefix:          variablePrefix,
		OtherVariables:  []string{"GATEWAY_WAIT_FOR"},
		UnknownKeysWarn: opts.UnknownKeys == UnknownKeysWarn,
		Ignored:         withoutMeaning,
		ReadFile:        read.noting(opts.ReadFile),
	})
	name, origin := instance(opts.Environ)
	t.SetDefault("mq.instance", name, origin)
	l := &Loaded{Config: Default(), tree: t, read: read}
	t.Decode(&l.Config)
	l.Config.complete(t.Has)
	t.Check(l.Config.Validate())
	t.Advise(l.Config.advice())
	l.Warnings = t.Warnings()
	if problems := t.Problems(); len(problems) > 0 {
		return l, problems
	}
	return l, nil
}

// Print writes the merged configuration as YAML, which can be loaded again but for
// its secrets: they are asterisks. A comment behind each value says where it
// comes from.
func (l *Loaded) Print(w io.Writer) error { return l.tree.Print(w, l.Config) }

// byStrength moves the file that always yields to the end.
func byStrength(files []string) []string {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b string) int { return weakness(a) - weakness(b) })
	return files
}

func weakness(file string) int {
	if filepath.Base(file) == weakestFile {
		return 1
	}
	return 0
}

// defaultFolder is where a container has its configuration mounted.
const defaultFolder = "/deployments/config"

// DefaultFiles are the files that are read when none is named: those of the list
// that exist, strongest first.
func DefaultFiles() []string {
	return slices.DeleteFunc(possibleFiles(), func(file string) bool {
		info, err := os.Stat(file)
		return err != nil || info.IsDir()
	})
}

// possibleFiles are those of the list, whether they exist or not.
func possibleFiles() []string {
	files := []string{
		"application.yml",
		"environment/environment.yml",
		"ssl/ssl-secret.yml",
		"masking/masking-secret.yml",
		"validator/validator-secret.yml",
		"common/" + weakestFile,
	}
	for i, name := range files {
		files[i] = filepath.Join(defaultFolder, name)
	}
	return files
}

// withoutMeaning are keys of the reference product that nothing here corresponds to.
var withoutMeaning = map[string]string{
	"mq.connection.connections.channel":      "channels are part of IBM MQ's protocol",
	"mq.connection.connections.ccsid":        "character sets are those of the messages",
	"mq.connection.certificateReloadEnabled": "certificates are always watched",
	"mq.connection.certificateReloadDelay":   "certificates are always watched",
	"mq.syncReceiver.modelName":              "reply queues need no model queue",
	"mq.sslConfigs.sslResetCount":            "TLS renews its keys itself",
	"cleanFDC":                               "FDC files are written by IBM MQ's client",
	"logging.config":                         "the log is set up by logging.level",
	"spring":                                 "it is for Spring",
	"management":                             "of this block only management.server.port is known",
}
