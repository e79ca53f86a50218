package config_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// environ is the environment of the golden files.
var environ = []string{"POD_NAME=pod-1", "SECRET=hunter9"}

// TestMistakes holds what is said of each file under testdata/bad, named after what
// is wrong with it. A file with all that is needed lies under each.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, file := range glob(t, "testdata/bad/*.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			golden(t, file, complaints(t, file, "testdata/base.yml"))
		})
	}
}

// TestIncomplete does the same for files that lack something.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	for _, file := range glob(t, "testdata/incomplete/*.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			golden(t, file, complaints(t, file))
		})
	}
}

// complaints loads files that are wrong, and returns what is said.
func complaints(t *testing.T, files ...string) string {
	t.Helper()
	loaded, err := config.Load(files, config.Options{Environ: environ})
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		t.Fatalf("error = %v, want problems", err)
	}
	var out strings.Builder
	for _, p := range problems {
		if p.Place.File == "" {
			t.Errorf("problem without a place: %v", p)
		}
		out.WriteString(p.String() + "\n")
	}
	for _, w := range loaded.Warnings {
		if !strings.Contains(w.Text, "testdata/base.yml") {
			out.WriteString("warning: " + w.String() + "\n")
		}
	}
	if strings.Contains(out.String(), "hunter") {
		t.Errorf("a secret is shown:\n%s", &out)
	}
	return out.String()
}

// TestPrint holds the printed configuration and the warnings of each archive under
// testdata/good. Its files ending in .yml or .json are loaded in their order; environ
// is the environment.
func TestPrint(t *testing.T) {
	t.Parallel()
	for _, file := range glob(t, "testdata/good/*.txtar") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			archive := parseArchive(t, file)
			loaded := archive.load(t)
			var printed, warnings bytes.Buffer
			if err := loaded.Print(&printed); err != nil {
				t.Fatal(err)
			}
			for _, w := range loaded.Warnings {
				warnings.WriteString(w.String() + "\n")
			}
			if strings.Contains(printed.String()+warnings.String(), "hunter") {
				t.Errorf("a secret is shown:\n%s%s", &printed, &warnings)
			}
			archive.compare(t, "printed", printed.String())
			archive.compare(t, "warnings", warnings.String())
		})
	}
}

// TestPrintedLoadsAgain proves that what is printed means the same.
func TestPrintedLoadsAgain(t *testing.T) {
	t.Parallel()
	for _, file := range glob(t, "testdata/good/*.txtar") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			loaded := parseArchive(t, file).load(t)
			var printed bytes.Buffer
			if err := loaded.Print(&printed); err != nil {
				t.Fatal(err)
			}
			again, err := config.Load([]string{"printed.yml"}, config.Options{ReadFile: inMemory(map[string]string{"printed.yml": printed.String()})})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(masked(loaded.Config), masked(again.Config)); diff != "" {
				t.Errorf("what was printed differs (-loaded +again):\n%s\n%s", diff, &printed)
			}
		})
	}
}

// masked replaces the secrets of a configuration by what is printed of them.
func masked(c config.Config) config.Config {
	connections := c.MQ.Connection.Connections
	for i := range connections {
		connections[i].URI, connections[i].Password, connections[i].Token = "", "", ""
	}
	c.MQ.Embedded.Token = ""
	delete(c.MQ.Outbound.Headers, "X-Token")
	return c
}

// archive is a case of testdata/good: several files in one, each below a line
// "-- name --". The text before the first says what the case is about.
type archive struct {
	file     string
	comment  string
	names    []string
	contents map[string]string
}

func parseArchive(t *testing.T, file string) archive {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := archive{file: file, contents: map[string]string{}}
	for line := range strings.Lines(string(data)) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, " --\n"), "-- ")
		switch {
		case ok:
			a.names = append(a.names, name)
		case len(a.names) == 0:
			a.comment += line
		default:
			a.contents[a.names[len(a.names)-1]] += line
		}
	}
	return a
}

func (a archive) load(t *testing.T) *config.Loaded {
	t.Helper()
	var files []string
	for _, name := range a.names {
		if ext := filepath.Ext(name); ext == ".yml" || ext == ".json" {
			files = append(files, name)
		}
	}
	loaded, err := config.Load(files, config.Options{
		Environ:  append(strings.Fields(a.contents["environ"]), "POD_NAME=pod-1"),
		ReadFile: inMemory(a.contents),
	})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// compare holds got against a section, or writes it.
func (a archive) compare(t *testing.T, section, got string) {
	t.Helper()
	if *update {
		a.contents[section] = got
		text := a.comment
		for _, name := range a.names {
			text += "-- " + name + " --\n" + a.contents[name]
		}
		write(t, a.file, []byte(text))
	}
	if diff := cmp.Diff(a.contents[section], got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", section, diff)
	}
}

// inMemory reads files from a map.
func inMemory(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		data, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(data), nil
	}
}

// golden holds got against the file beside file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	name := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
	if *update {
		write(t, name, []byte(got))
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
