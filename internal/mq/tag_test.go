package mq_test

import (
	"regexp"
	"strings"
	"testing"

	"mqgateway/internal/mq"
)

func TestTags(t *testing.T) {
	harmless := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$`)
	seen := map[string]string{}
	for instance, want := range map[string]string{ // an empty tag is a hash
		"go-gateway-5dddcc6455-vd4j9":     "5dddcc6455.vd4j9",
		"go-gateway-5dddcc6455-vd4j8":     "5dddcc6455.vd4j8",
		"gateway-0":                       "gateway-0",
		"msk1-gateway01-node1":            "msk1-gateway01-node1",
		"spb1-gateway01-node1":            "spb1-gateway01-node1",
		"host.example-4711":               "host.example-4711",
		strings.Repeat("long", 12):        strings.Repeat("long", 12),
		strings.Repeat("long", 12) + "er": "",
		"with a blank":                    "",
		"-dash":                           "",
		"шлюз-1":                          "",
		"a/b":                             "",
		"":                                "",
	} {
		got := mq.Tag(instance)
		if want != "" && got != want || !harmless.MatchString(got) {
			t.Errorf("tag of %q = %q, want %q, or a hash", instance, got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("tag of %q = %q, that of %q", instance, got, other)
		}
		seen[got] = instance
	}
}
