package admin

// Config is the HTTP port for probes and metrics.
type Config struct {
	// Port; 0 takes a free one. Default 8787.
	Port int `yaml:"port"`
}
