package tree_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/config/tree"
	"mqgateway/internal/secret"
)

// living has keys that apply without a restart beside others that do not.
type living struct {
	Port  int       `yaml:"port"`
	Queue queueing  `yaml:"queue"`
	Rules ruleBlock `yaml:"rules" reload:"yes"`
}

type queueing struct {
	Send     string            `yaml:"send" reload:"yes"`
	Receive  []string          `yaml:"receive"`
	Password secret.String     `yaml:"password"`
	URI      secret.URI        `yaml:"uri"`
	Targets  map[string]entry  `yaml:"targets"`
	Headers  map[string]string `yaml:"headers"`
}

type ruleBlock struct {
	Wait    time.Duration `yaml:"wait"`
	List    []rule        `yaml:"list"`
	Allowed []string      `yaml:"allowed"`
}

func TestChangesNameKeysWithTheirValues(t *testing.T) {
	t.Parallel()
	rules := func(exprs ...string) living {
		var c living
		for _, expr := range exprs {
			c.Rules.List = append(c.Rules.List, rule{expr})
		}
		return c
	}
	targets := func(targets map[string]entry) living { return living{Queue: queueing{Targets: targets}} }
	for _, tt := range []struct {
		name     string
		old, now living
		want     []tree.Change
	}{
		{"nothing", living{Port: 1}, living{Port: 1}, nil},
		{"an empty list is as good as none", living{}, living{Queue: queueing{Receive: []string{}, Targets: map[string]entry{}}, Rules: ruleBlock{List: []rule{}}}, nil},
		{"a leaf", living{Port: 1}, living{Port: 2}, []tree.Change{{Path: "port", Old: "1", New: "2"}}},
		{"a leaf that reloads", living{Queue: queueing{Send: "A"}}, living{}, []tree.Change{{Path: "queue.send", Old: "A", Reload: true}}},
		{
			"a block that reloads",
			living{},
			living{Rules: ruleBlock{Wait: 2 * time.Minute, Allowed: []string{"a", "b"}}},
			[]tree.Change{{Path: "rules.wait", Old: "0s", New: "2m", Reload: true}, {Path: "rules.allowed", New: "[a, b]", Reload: true}},
		},
		{
			"secrets are hidden",
			living{Queue: queueing{Password: "one", URI: "amqp://u:one@h"}},
			living{Queue: queueing{Password: "two", URI: "amqp://u:two@i"}},
			[]tree.Change{{Path: "queue.password", Old: "******", New: "******"}, {Path: "queue.uri", Old: "amqp://u:******@h", New: "amqp://u:******@i"}},
		},
		{
			"headers that hold secrets are hidden",
			living{},
			living{Queue: queueing{Headers: map[string]string{"X-Token": "one", "a.b": "c"}}},
			[]tree.Change{{Path: "queue.headers.X-Token", New: "******"}, {Path: `queue.headers.a.b`, New: "c"}},
		},
		{"an element changes", rules("a", "b", "c"), rules("a", "x", "c"), []tree.Change{{Path: "rules.list[1].expr", Old: "b", New: "x", Reload: true}}},
		{"an element is put in front", rules("a", "b"), rules("x", "a", "b"), []tree.Change{{Path: "rules.list[0]", New: "{expr: x}", Reload: true}}},
		{"an element is taken out", rules("a", "b", "c"), rules("a", "c"), []tree.Change{{Path: "rules.list[1]", Old: "{expr: b}", Reload: true}}},
		{"equal elements", rules("a", "a"), rules("a", "a", "a"), []tree.Change{{Path: "rules.list[2]", New: "{expr: a}", Reload: true}}},
		{
			"entries of a map", targets(map[string]entry{"a": {Host: "h"}, "b": {Limit: time.Second}}), targets(map[string]entry{"b": {Limit: time.Minute}, "c": {Host: "i"}}),
			[]tree.Change{
				{Path: "queue.targets.a", Old: "{host: h}"}, {Path: "queue.targets.b.limit", Old: "1s", New: "1m"}, {Path: "queue.targets.c", New: "{host: i}"},
			},
		},
		{"long values are cut", living{}, living{Queue: queueing{Send: strings.Repeat("ж", 300)}}, []tree.Change{{Path: "queue.send", New: strings.Repeat("ж", 200) + "…", Reload: true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tree.Changes(tt.old, tt.now)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTakeCopiesWhatAppliesWithoutARestart(t *testing.T) {
	t.Parallel()
	running := living{Port: 1, Queue: queueing{Send: "A", Receive: []string{"R"}}, Rules: ruleBlock{Wait: 1, Allowed: []string{"a"}}}
	tree.Take(&running, living{Port: 2, Queue: queueing{Send: "B", Receive: []string{"S"}, Password: "p"}, Rules: ruleBlock{List: []rule{{"x"}}}})
	want := living{Port: 1, Queue: queueing{Send: "B", Receive: []string{"R"}}, Rules: ruleBlock{List: []rule{{"x"}}}}
	if diff := cmp.Diff(want, running); diff != "" {
		t.Errorf("running (-want +got):\n%s", diff)
	}
}

func TestKeysTellWhatReloads(t *testing.T) {
	t.Parallel()
	var got []string
	for _, k := range tree.Keys(living{}) {
		if k.Reload {
			got = append(got, k.Path)
		}
	}
	if diff := cmp.Diff([]string{"queue.send", "rules.wait", "rules.list[].expr", "rules.allowed"}, got); diff != "" {
		t.Errorf("keys that reload (-want +got):\n%s", diff)
	}
}

// TestElementsDoNotReloadAlone: a list is merged as a whole, so that a tag inside of one
// would promise what does not happen.
func TestElementsDoNotReloadAlone(t *testing.T) {
	t.Parallel()
	type element struct {
		Name string `yaml:"name" reload:"yes"`
	}
	type block struct {
		List []element `yaml:"list"`
	}
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "without a restart") {
			t.Errorf("panic = %s, want one that tells the defect", p)
		}
	}()
	tree.Keys(block{})
}
