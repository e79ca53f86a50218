package mq

import (
	"math/rand/v2"
	"slices"
)

// hanging is how many more unconfirmed messages than the least busy one a manager with a
// full share may have before others are asked that have less.
const hanging = 8

// leastBusy is the route whose manager has the fewest unconfirmed messages of those
// with a full share, the first one from one that changes with each message. Those that
// weigh less, since they are slow or have just returned, get their share by lot: they
// would get nothing while others are idle, and everything while others are not.
func leastBusy(routes []route, turn uint64) route {
	var room [16]float64
	weights := weigh(room[:0], routes)
	if r := byLot(routes, weights); r != nil {
		return r
	}
	r := quickest(routes, weights, 1, turn)
	if r.manager().load.inFlight.Load() > leastInFlight(routes)+hanging {
		return quickest(routes, weights, 0, turn)
	}
	return r
}

// quickest is the route with the fewest unconfirmed messages for its weight, of those
// with at least the given one.
func quickest(routes []route, weights []float64, enough float64, turn uint64) route {
	n := uint64(len(routes))
	var best route
	var least float64
	for i := range n {
		at := (turn + i) % n
		if weights[at] < enough {
			continue
		}
		busy := float64(routes[at].manager().load.inFlight.Load()+1) / weights[at]
		if best == nil || busy < least {
			best, least = routes[at], busy
		}
	}
	return best
}

// byLot is a route without a full share, with the probability that its weight gives
// it, where it is not busier than another one; else nil.
func byLot(routes []route, weights []float64) route {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	if sum == float64(len(weights)) {
		return nil
	}
	lot := rand.Float64() * sum
	for i, r := range routes {
		if weights[i] == 1 {
			continue
		}
		if lot < weights[i] && r.manager().load.inFlight.Load() <= leastInFlight(routes) {
			return r
		}
		if lot -= weights[i]; lot < 0 {
			return nil
		}
	}
	return nil
}

// nearly is the part of the greatest weight that counts as much.
const nearly = 0.8

// weigh appends what the routes' managers weigh beside the one that weighs most, which
// has a full share: 1.
func weigh(weights []float64, routes []route) []float64 {
	best := 0.0
	for _, r := range routes {
		if average := r.manager().load.average(); average > 0 && (best == 0 || average < best) {
			best = average
		}
	}
	for _, r := range routes {
		weights = append(weights, r.manager().load.weight(best))
	}
	full := nearly * slices.Max(weights)
	for i, w := range weights {
		weights[i] = min(1, w/full)
	}
	return weights
}
