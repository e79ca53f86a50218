package config_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"mqgateway/internal/config"
)

// FuzzLoad feeds Load with any file over a good one. It must not panic, every
// problem must have a place and a text, and what loads must print.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yml", "testdata/incomplete/*.yml", allKeys} {
		for _, file := range glob(f, pattern) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, "one")
		}
	}
	base, err := os.ReadFile("testdata/base.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, variable string) {
		loaded, err := config.Load([]string{"fuzz.yml", "base.yml"}, config.Options{
			Environ:  []string{"POD_NAME=pod", "GATEWAY_MQ_CONNECTION_SENDQUEUE=" + variable, "GATEWAY_" + variable + "=1"},
			ReadFile: inMemory(map[string]string{"fuzz.yml": string(data), "base.yml": string(base)}),
		})
		problems, _ := errors.AsType[config.Problems](err)
		if (err != nil) != (len(problems) > 0) {
			t.Fatalf("error is %v with %d problems", err, len(problems))
		}
		for _, p := range append(problems, loaded.Warnings...) {
			if p.Place.File == "" || p.Text == "" {
				t.Errorf("problem without place or text: %+v", p)
			}
		}
		var out bytes.Buffer
		if err := loaded.Print(&out); err != nil {
			t.Errorf("printing: %v", err)
		}
	})
}
