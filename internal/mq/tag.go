package mq

import (
	"hash/fnv"
	"regexp"
	"strconv"

	"github.com/google/uuid"
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

// maxTag bounds a tag in bytes.
const maxTag = 48

// isTag tells that a text can be a tag: it stands in an id, and behind the name of a
// queue, without harm. Ids are looked at for each reply, for which a regular expression
// would take microseconds.
func isTag(text string) bool {
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i == 0, c != '.' && c != '_' && c != '-':
			return false
		}
	}
	return text != "" && len(text) <= maxTag
}

// hashOfPod has only the letters and digits that Kubernetes makes names of, so that
// host names such as a-gateway01-node1 and b-gateway01-node1 stay different
// (https://pkg.go.dev/k8s.io/apimachinery/pkg/util/rand#SafeEncodeString).
var hashOfPod = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$`)

// Tag is what begins the ids that an instance makes, and ends the name of the queue
// in which other instances leave something for it: its name, of a Deployment's pod only
// the [Suffix], or where that is long or has other characters than letters, digits,
// dots and dashes, a hash of it.
func Tag(instance string) string {
	tag := instance
	if hashOfPod.MatchString(instance) {
		tag = Suffix(instance)
	}
	if isTag(tag) {
		return tag
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(instance))
	return strconv.FormatUint(h.Sum64(), 36)
}

// uuidLength is that of a UUID with the dot in front of it.
const uuidLength = 1 + 36

// tagOf is the tag of an id that a gateway made, which is the tag, a dot and a UUID; empty
// for another one.
func tagOf(id string) string {
	n := len(id) - uuidLength
	if n <= 0 || n > maxTag || id[n] != '.' || !isTag(id[:n]) || uuid.Validate(id[n+1:]) != nil {
		return ""
	}
	return id[:n]
}
