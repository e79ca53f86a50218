package rabbittest

// Run boots a server for a program that is no test, such as a benchmark, with
// settings as for [Start], and ends it when use returns.
func Run(use func(*Node) error, settings ...string) error {
	process.mu.Lock()
	process.running = true
	n, err := newNode(settings...)
	process.mu.Unlock()
	defer stopAll()
	if err != nil {
		return err
	}
	defer n.end()
	return use(n)
}
