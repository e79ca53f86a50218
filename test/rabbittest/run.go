package rabbittest

// Run boots a server for a program that is no test, such as a benchmark, and ends
// it when use returns.
func Run(use func(*Node) error) error {
	process.mu.Lock()
	process.running = true
	n, err := newNode()
	process.mu.Unlock()
	defer stopAll()
	if err != nil {
		return err
	}
	defer n.end()
	return use(n)
}
