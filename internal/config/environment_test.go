package config_test

import (
	"bytes"
	"strings"
	"testing"

	"mqgateway/internal/config"
	"mqgateway/internal/config/tree"
)

// TestEnvironmentBeatsFiles sets every key to one value by a file and to another by
// its variable, and expects the place of the value to be the variable.
func TestEnvironmentBeatsFiles(t *testing.T) {
	t.Parallel()
	for _, key := range tree.Keys(config.Default()) {
		t.Run(key.Path, func(t *testing.T) {
			t.Parallel()
			variable := "GATEWAY_" + strings.NewReplacer("<NAME>", "DEFAULT", "_N_", "_0_").Replace(key.Variable)
			file := oneKey(strings.Split(key.Path, "."), sample(key, 0))
			for _, where := range []struct{ variable, origin string }{
				{"", "file.yml:"},
				{variable, "environment " + variable},
			} {
				printed := printedWith(t, file, where.variable+"="+sample(key, 1))
				if got := originOf(printed); !strings.HasPrefix(got, where.origin) {
					t.Errorf("with variable %q, %s comes from %q, want %q; file:\n%s\nprinted:\n%s",
						where.variable, key.Path, got, where.origin, file, printed)
				}
			}
		})
	}
}

// oneKey is a file that sets one key.
func oneKey(path []string, value string) string {
	if len(path) == 0 {
		return value
	}
	name, isList := strings.CutSuffix(strings.Replace(path[0], "<name>", "default", 1), "[]")
	below := oneKey(path[1:], value)
	if isList {
		below = "[" + below + "]"
	}
	return "{" + name + ": " + below + "}"
}

// sample is one of two values that a key may have.
func sample(key tree.Key, i int) string {
	switch {
	case len(key.Values) > 0:
		return key.Values[i%len(key.Values)]
	case key.Type == "boolean":
		return []string{"true", "false"}[i]
	case key.Type == "number", key.Type == "duration", key.Type == "size":
		return []string{"71", "72"}[i]
	default:
		return []string{"one", "two"}[i]
	}
}

// printedWith loads a file, which need not make sense as a whole, and prints it.
func printedWith(t *testing.T, file string, environ ...string) string {
	t.Helper()
	loaded, err := config.Load([]string{"file.yml"}, config.Options{
		Environ:  environ,
		ReadFile: inMemory(map[string]string{"file.yml": file}),
	})
	if err == nil && loaded == nil {
		t.Fatal("nothing was loaded")
	}
	var out bytes.Buffer
	if err := loaded.Print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// originOf finds the comment behind the only value that is no default.
func originOf(printed string) string {
	for line := range strings.Lines(printed) {
		_, origin, _ := strings.Cut(strings.TrimSpace(line), " # ")
		if origin != "" && origin != "default" {
			return origin
		}
	}
	return "nowhere"
}
