package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/config"
	"mqgateway/internal/mq"
)

func TestDefaultIsWhatNoFilesGive(t *testing.T) {
	t.Parallel()
	loaded, err := config.Load(nil, config.Options{Environ: []string{"POD_NAME=pod-1"}})
	if _, ok := errors.AsType[config.Problems](err); !ok {
		t.Fatalf("error = %v, want problems: there is no queue", err)
	}
	want := config.Default()
	want.MQ.Instance = "pod-1"
	want.MQ.ConsumerParams.Prefetch = 2 * want.MQ.ConsumerParams.Concurrency
	want.MQ.Connection.Health.Period = mq.DefaultPeriod
	if diff := cmp.Diff(want, loaded.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestInstance(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"configured", []string{"GATEWAY_MQ_INSTANCE=a", "POD_NAME=pod"}, "a"},
		{"name of the pod", []string{"POD_NAME=pod", "HOSTNAME=host", "KUBERNETES_SERVICE_HOST=10.0.0.1"}, "pod"},
		{"it may look like a placeholder", []string{"POD_NAME=pod-${X}"}, "pod-${X}"},
		{"host name in Kubernetes", []string{"HOSTNAME=pod", "KUBERNETES_SERVICE_HOST=10.0.0.1"}, "pod"},
		{"host name and process id elsewhere", []string{"HOSTNAME=other", "POD_NAME="}, fmt.Sprintf("%s-%d", host, os.Getpid())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			loaded, _ := config.Load([]string{"testdata/base.yml"}, config.Options{Environ: tt.environ})
			if got := loaded.Config.MQ.Instance; got != tt.want {
				t.Errorf("instance = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConcurrencyAndPrefetch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                  string
		environ               []string
		concurrency, prefetch int
	}{
		{"nothing set", nil, 64, 128},
		{"concurrency", []string{"GATEWAY_MQ_CONSUMERPARAMS_CONCURRENCY=3"}, 3, 6},
		{"as many as prefetch", []string{"GATEWAY_MQ_CONSUMERPARAMS_CONCURRENCY=0", "GATEWAY_MQ_CONSUMERPARAMS_PREFETCH=7"}, 7, 7},
		{"no bound", []string{"GATEWAY_MQ_CONSUMERPARAMS_CONCURRENCY=0"}, 256, 256},
		{"ordered", []string{"GATEWAY_MQ_CONSUMERPARAMS_ORDERED=true"}, 1, 1},
		{"ordered, with prefetch", []string{"GATEWAY_MQ_CONSUMERPARAMS_ORDERED=true", "GATEWAY_MQ_CONSUMERPARAMS_PREFETCH=9"}, 1, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			loaded, err := config.Load([]string{"testdata/base.yml"}, config.Options{Environ: tt.environ})
			if err != nil {
				t.Fatal(err)
			}
			if got := loaded.Config.MQ.ConsumerParams; got.Concurrency != tt.concurrency || got.Prefetch != tt.prefetch {
				t.Errorf("got %+v, want %d and %d", got, tt.concurrency, tt.prefetch)
			}
		})
	}
}

func TestUnknownKeysAsWarnings(t *testing.T) {
	t.Parallel()
	loaded, err := config.Load([]string{"testdata/bad/unknown-key.yml", "testdata/base.yml"}, config.Options{UnknownKeys: config.UnknownKeysWarn})
	if err != nil {
		t.Fatal(err)
	}
	want := "testdata/bad/unknown-key.yml:3:5: mq.connection.sendQueu: unknown key, ignored (did you mean mq.connection.sendQueue?)"
	if len(loaded.Warnings) != 1 || loaded.Warnings[0].String() != want {
		t.Errorf("warnings = %v, want %s", loaded.Warnings, want)
	}
}

func TestParseUnknownKeys(t *testing.T) {
	t.Parallel()
	for _, want := range []config.UnknownKeys{config.UnknownKeysError, config.UnknownKeysWarn} {
		if got, err := config.ParseUnknownKeys(string(want)); got != want || err != nil {
			t.Errorf("parsing %q = %q, %v", want, got, err)
		}
	}
	if _, err := config.ParseUnknownKeys("ignore"); err == nil {
		t.Error(`"ignore" was taken`)
	}
}

func TestFilesThatCanNotBeRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	large := filepath.Join(folder, "large.yml")
	if err := os.WriteFile(large, make([]byte, 16<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, want string }{
		{"missing", folder + "/none.yml", "reading the file: no such file or directory"},
		{"folder", folder, "reading the file: it is no file"},
		{"device", "/dev/zero", "reading the file: it is no file"},
		{"too large", large, "reading the file: it is larger than 16 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load([]string{tt.file}, config.Options{})
			if want := tt.file + ": " + tt.want; err == nil || err.Error() != want {
				t.Errorf("error = %v, want %s", err, want)
			}
		})
	}
}

func TestFileNamedTwice(t *testing.T) {
	t.Parallel()
	loaded, err := config.Load([]string{"testdata/base.yml", "testdata/base.yml"}, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) != 1 || loaded.Warnings[0].Text != "the file is named twice" {
		t.Errorf("warnings = %v, want one of the file", loaded.Warnings)
	}
}
