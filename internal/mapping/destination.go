package mapping

import (
	"slices"
	"strings"

	"mqgateway/api/proto/gateway/mq"
	"mqgateway/internal/flow"
)

// The call metadata that names a destination.
const (
	overrideQueue   = "x-synapse-override-destination-queue"
	overrideManager = "x-synapse-override-destination-manager"
)

// rank is one place that may name a destination; the first one counts.
type rank struct {
	// place names it in errors.
	place          string
	queue, manager string
}

// replyToPlace is the rank whose destination is a reply address.
const replyToPlace = `systemHeaders["ReplyToQ"]`

// requestPlace is the rank of the reply address of the request, for an answer.
const requestPlace = "ReplyToQ of the request"

// sendQueueKey is the configuration key of the weakest rank.
const sendQueueKey = "mq.connection.sendQueue"

// address decides where m goes; missing tells what nobody named when there is
// no such place. A reply address that is used up as the destination is no longer
// the reply address of m.
func (o *Outbound) address(m *flow.Message, ranks []rank, missing string) error {
	chosen := firstOf(ranks)
	switch chosen.place {
	case "":
		return flow.Errorf(flow.BadMessage, "%s, and %s is not set", missing, sendQueueKey)
	case replyToPlace:
		m.ReplyTo, m.ReplyToManager = "", ""
	}
	to, err := parseDestination(chosen.queue)
	if err != nil {
		return flow.Errorf(flow.BadMessage, "%s: %w", chosen.place, err)
	}
	m.To, err = o.on(chosen.manager, to)
	return err
}

// ranks are the places that may name the destination of m, the strongest first.
func (o *Outbound) ranks(m *flow.Message, information *mq.MqMessageInformation) []rank {
	var ranks []rank
	if o.options.CustomDestination {
		ranks = overrides(m.Call, information)
		if o.options.Role == flow.Consumer {
			ranks = append(ranks, rank{replyToPlace, m.ReplyTo, m.ReplyToManager})
		}
	}
	return append(ranks, o.sendQueue())
}

// overrides are the two ranks by which a microservice chooses any queue.
func overrides(call *flow.Call, information *mq.MqMessageInformation) []rank {
	return []rank{
		{overrideQueue, call.Value(overrideQueue), call.Value(overrideManager)},
		{"extension.destinationQueue", information.GetDestinationQueue(), information.GetDestinationManager()},
	}
}

func (o *Outbound) sendQueue() rank { return rank{sendQueueKey, o.options.SendQueue, ""} }

// answerRanks are the places that may name the destination of an answer. Reply
// addresses without a manager are on the one that delivered the request.
func (o *Outbound) answerRanks(m *flow.Message, information *mq.MqMessageInformation, request *flow.Message) []rank {
	asked := rank{requestPlace, replyToQ.Text(request), replyToQMgr.Text(request)}
	if !o.options.CustomDestination {
		return []rank{o.sendQueue(), asked}
	}
	own := rank{replyToPlace, m.ReplyTo, m.ReplyToManager}
	if own.queue != "" && own.manager == "" {
		own.manager = request.Source.Manager
	}
	return append(overrides(m.Call, information), own, asked, o.sendQueue())
}

// firstOf is the first rank with a queue. A manager alone goes with the queue of
// the next rank that has one. Without a queue anywhere it is the zero rank.
func firstOf(ranks []rank) rank {
	manager := ""
	for _, r := range ranks {
		if manager == "" {
			manager = r.manager
		}
		if r.queue != "" {
			return rank{r.place, r.queue, manager}
		}
	}
	return rank{}
}

// on puts the address on a manager; an empty one is any that is available.
func (o *Outbound) on(manager string, to flow.Address) (flow.Address, error) {
	if manager != "" && !slices.Contains(o.options.Managers, manager) {
		return to, flow.Errorf(flow.BrokerFailed, "manager %.255q is not configured for destination %q; configured: %s",
			manager, to, strings.Join(o.options.Managers, ", ")).WithClass(flow.Permanent)
	}
	to.Manager = manager
	return to, nil
}

// parseDestination reads an address whose parts a broker can take.
func parseDestination(text string) (flow.Address, error) {
	to, err := flow.ParseAddress(text)
	if err != nil {
		return flow.Address{}, err
	}
	if err := checkShort("exchange", to.Exchange); err != nil {
		return flow.Address{}, err
	}
	return to, checkShort("queue or routing key", to.Key)
}
