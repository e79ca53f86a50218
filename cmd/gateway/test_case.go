package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/config"
	"mqgateway/internal/routing"
)

// Outcomes have the names of the keys that expect them.
const (
	errorOutcome    = "error.code"
	messageOutcome  = "error.message"
	variableOutcome = "variables."
	userOutcome     = "headers.user."
	systemOutcome   = "headers.system."
)

// caseResult is what came out of a case.
type caseResult struct {
	Name  string       `json:"name"`
	Place config.Place `json:"-"`
	File  string       `json:"file"`
	Line  int          `json:"line"`
	OK    bool         `json:"ok"`
	// Differences are what came out otherwise than expected.
	Differences []difference         `json:"differences"`
	Explanation *routing.Explanation `json:"explanation"`
}

// difference is a key of expect with what was expected, and what was found.
type difference struct {
	Key  string `json:"key"`
	Got  string `json:"got"`
	Want string `json:"want"`
}

// runCase runs one case.
func (d *dryRun) runCase(ctx context.Context, c loadedCase) caseResult {
	x, p := d.deliver(ctx, c.message.read())
	result := caseResult{
		Name: c.name, Place: c.place, File: c.place.File, Line: c.place.Line,
		Differences: c.compare(outcomes(x, p), x), Explanation: x,
	}
	result.OK = len(result.Differences) == 0
	return result
}

// outcomes are what can be expected of a message. What is not there is empty.
func outcomes(x *routing.Explanation, p *gateway.ProtoMessage) map[string]string {
	got := map[string]string{
		"destination": x.Destination, "route": x.Route, "routeName": x.RouteName,
		"transportType": x.TransportType, "body": p.GetBody(),
	}
	for name, text := range x.Variables {
		got[variableOutcome+name] = text
	}
	for name, text := range p.GetUserHeaders() {
		got[userOutcome+name] = text
	}
	for name, text := range p.GetSystemHeaders() {
		got[systemOutcome+name] = text
	}
	if x.Error != nil {
		got[errorOutcome] = strconv.Itoa(x.Error.Code)
	}
	return got
}

// compare finds what differs. An error that nobody expects always does, and comes
// first: it is why the rest differs.
func (c loadedCase) compare(got map[string]string, x *routing.Explanation) []difference {
	differences := []difference{}
	keys := slices.Sorted(maps.Keys(c.wants))
	if _, expected := c.wants[errorOutcome]; !expected {
		keys = slices.Insert(keys, 0, errorOutcome)
	}
	for _, key := range keys {
		if got[key] != c.wants[key] {
			differences = append(differences, difference{key, got[key], c.wants[key]})
		}
	}
	if x.Error != nil && !strings.Contains(x.Error.Message, c.errorPart) {
		differences = append(differences, difference{messageOutcome, x.Error.Message, c.errorPart})
	}
	return differences
}
