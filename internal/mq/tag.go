package mq

import (
	"hash/fnv"
	"regexp"
	"strconv"
)

// podOfDeployment ends like the name of a Deployment's pod: the hash of the ReplicaSet, then
// five letters or digits of the pod's own.
var podOfDeployment = regexp.MustCompile(`-([A-Za-z0-9]{8,10})-([A-Za-z0-9]{5})$`)

// Suffix tells the queues of instances apart, by no more of their names than is needed.
func Suffix(instance string) string {
	if m := podOfDeployment.FindStringSubmatch(instance); m != nil {
		return m[1] + "." + m[2]
	}
	return instance
}

// shortTag is what stands in an id, and behind the name of a queue, without harm.
var shortTag = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$`)

// Tag is what begins the ids that an instance makes, and ends the name of the queue
// in which other instances leave something for it: its suffix, or where that is
// long or has other characters than letters, digits, dots and dashes, a hash of it.
func Tag(instance string) string {
	if s := Suffix(instance); shortTag.MatchString(s) {
		return s
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(instance))
	return strconv.FormatUint(h.Sum64(), 36)
}

// taggedID is an id that a gateway made: a tag, a dot and a UUID.
var taggedID = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]{0,47})\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// uuidLength is that of a UUID with the dot in front of it.
const uuidLength = 1 + 36

// tagOf is the tag of an id; empty where it has none.
func tagOf(id string) string {
	if len(id) <= uuidLength || id[len(id)-uuidLength] != '.' || !taggedID.MatchString(id) {
		return ""
	}
	return id[:len(id)-uuidLength]
}
