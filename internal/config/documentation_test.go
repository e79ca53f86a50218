package config_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"mqgateway/internal/config"
	"mqgateway/internal/config/tree"
)

const allKeys = "../../examples/configuration/all-keys.yml"

// TestEveryKeyIsDocumented holds the table of docs/configuration.md against the
// structs: one row for each key, with its default, its variable and its mark, and no other.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|$").FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = strings.Split(m[2], "|")
	}
	for _, k := range tree.Keys(config.Default()) {
		cells := rows[k.Path]
		delete(rows, k.Path)
		if len(cells) != 4 {
			t.Errorf("no row of five cells for %s", k.Path)
			continue
		}
		checkCell(t, k.Path, "type", cells[0], typeCell(k))
		checkCell(t, k.Path, "default", cells[1], defaultCell(k))
		checkCell(t, k.Path, "environment", cells[3], "`GATEWAY_"+k.Variable+"`")
		if marked := strings.HasPrefix(cells[2], " **R** "); marked != k.Reload {
			t.Errorf("%s: marked by **R** = %t, and it applies without a restart = %t", k.Path, marked, k.Reload)
		}
		for _, alias := range k.Aliases {
			if !strings.Contains(cells[2], alias) {
				t.Errorf("%s: the alias %s is not named", k.Path, alias)
			}
		}
	}
	for path := range rows {
		t.Errorf("%s stands in the table, but is no key", path)
	}
}

func checkCell(t *testing.T, path, column, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != want {
		t.Errorf("%s: %s = %s, want %s", path, column, strings.TrimSpace(got), want)
	}
}

// typeCell is a type as the table has it; the unit of a bare number is left out
// where it is that of all durations.
func typeCell(k tree.Key) string {
	text := k.Type
	if len(k.Values) > 0 {
		text = "`" + strings.Join(k.Values, "`, `") + "`"
	}
	if k.List {
		text = "list of " + text
	}
	if k.Unit != "" && k.Unit != "ms" {
		text += fmt.Sprintf(" (%s)", k.Unit)
	}
	return text
}

func defaultCell(k tree.Key) string {
	if k.Default == "" {
		return "–"
	}
	return "`" + k.Default + "`"
}

// TestExampleHasEveryKey holds the example against the structs: it loads without a
// warning, and names each key, in a comment where the key can't be set with
// the others.
func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	loaded, err := config.Load([]string{allKeys}, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) > 0 {
		t.Errorf("warnings: %v", loaded.Warnings)
	}
	text, err := os.ReadFile(allKeys)
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for _, k := range tree.Keys(config.Default()) {
		name := k.Path[strings.LastIndex(k.Path, ".")+1:]
		if !has(document.Content[0], strings.Split(k.Path, ".")) && !strings.Contains(string(text), "# "+name+": ") {
			t.Errorf("%s is not in the example", k.Path)
		}
	}
}

// has tells whether a key is set: in any element of a list, under any name that the
// user chooses.
func has(n *yaml.Node, path []string) bool {
	if len(path) == 0 {
		return true
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		if key != name && name != "<name>" {
			continue
		}
		below := []*yaml.Node{value}
		if isList {
			below = value.Content
		}
		for _, b := range below {
			if has(b, path[1:]) {
				return true
			}
		}
	}
	return false
}
