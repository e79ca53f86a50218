package faults

import (
	"flag"
	"os"
	"testing"

	"mqgateway/test/gatewaytest"
)

// The flags of a run by hand; without them a short run is made, as a test.
var (
	long     = flag.Bool("long", false, "run the long scenarios, instead of the short one")
	only     = flag.String("scenario", "", "regular expression of the scenarios to run; empty is all")
	scale    = flag.Float64("scale", 1, "size of the long scenarios: messages, faults and outages are multiplied by it")
	rate     = flag.Int("rate", 1500, "messages a second at most, all flows together")
	queues   = flag.String("queues", "", "list of: classic, quorum (RabbitMQ), embedded (the embedded broker); empty is all")
	progress = flag.Bool("progress", false, "print how far it is, every ten seconds; -long does so, too")
)

func TestMain(m *testing.M) { os.Exit(gatewaytest.Main(m)) }
