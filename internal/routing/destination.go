package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"mqgateway/internal/flow"
)

const (
	maxHost  = 253
	maxLabel = 63
)

// checkDestination holds a result to the form of an authority and to the
// destinations that are allowed.
func (r *Router) checkDestination(authority string) error {
	if err := checkAuthority(authority); err != nil {
		return err
	}
	if len(r.allowed) == 0 {
		return nil
	}
	for _, p := range r.allowed {
		if p.matches(authority) {
			return nil
		}
	}
	return fmt.Errorf("%s is not among allowedDestinations", shown(authority))
}

var errEmptyDestination = errors.New("the result is empty")

// checkAuthority takes host[:port] of RFC 3986: a name, an IPv4 address or an
// IPv6 address in brackets.
func checkAuthority(authority string) error {
	if authority == "" {
		return errEmptyDestination
	}
	host, port, hasPort, err := splitAuthority(authority)
	if err != nil {
		return err
	}
	if hasPort && !isPort(port) {
		return fmt.Errorf("the result, %s, has a port that is not 1 to 65535", shown(authority))
	}
	if strings.HasPrefix(host, "[") {
		return checkIPv6(host, authority)
	}
	return checkHost(host, authority)
}

func splitAuthority(authority string) (host, port string, hasPort bool, err error) {
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return "", "", false, fmt.Errorf("the result, %s, has no ] behind its address", shown(authority))
		}
		rest := authority[end+1:]
		if rest != "" && rest[0] != ':' {
			return "", "", false, fmt.Errorf("the result, %s, is not host[:port]", shown(authority))
		}
		return authority[:end+1], strings.TrimPrefix(rest, ":"), rest != "", nil
	}
	host, port, hasPort = strings.Cut(authority, ":")
	return host, port, hasPort, nil
}

func isPort(port string) bool {
	if len(port) == 0 || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

func checkIPv6(host, authority string) error {
	address, err := netip.ParseAddr(host[1 : len(host)-1])
	if err != nil || !address.Is6() || address.Zone() != "" {
		return fmt.Errorf("the result, %s, has no IPv6 address in its brackets", shown(authority))
	}
	return nil
}

func checkHost(host, authority string) error {
	if len(host) > maxHost {
		return fmt.Errorf("the result, %s, is longer than %d characters", shown(authority), maxHost)
	}
	numbers, labels := 0, 0
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return fmt.Errorf("the result, %s, is not host[:port] with labels of 1 to %d letters, digits, - and _", shown(authority), maxLabel)
		}
		labels++
		if strings.Trim(label, "0123456789") == "" {
			numbers++
		}
	}
	if numbers == 4 && labels == 4 {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("the result, %s, is no IPv4 address", shown(authority))
		}
	}
	return nil
}

// isLabel tells a part of a name between dots. A dash stands only inside.
func isLabel(label string) bool {
	if len(label) == 0 || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// pattern is an entry of allowedDestinations, in lower case; * stands for any
// run of characters. Without a port it allows every port.
type pattern struct {
	flow.Pattern
	hasPort bool
}

func newPattern(text string) pattern {
	text = strings.ToLower(text)
	return pattern{flow.NewPattern(text), strings.Contains(text[strings.LastIndexByte(text, ']')+1:], ":")}
}

func (p pattern) matches(authority string) bool {
	text := strings.ToLower(authority)
	if !p.hasPort {
		text, _, _, _ = splitAuthority(text) // It has been checked.
	}
	return p.Matches(text)
}
