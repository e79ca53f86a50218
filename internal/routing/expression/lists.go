package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func isOneOf(a ...any) (any, error) { return slices.Contains(a[1:], a[0]), nil }

func isIn(text string, list []string) (bool, error) { return slices.Contains(list, text), nil }

func matchesPart(text string, re *regexp.Regexp) (bool, error) { return re.MatchString(text), nil }

func replaceAll(text string, re *regexp.Regexp, with string) (string, error) {
	return replaceMatches(text, re, with, -1)
}

func replaceFirst(text string, re *regexp.Regexp, with string) (string, error) {
	return replaceMatches(text, re, with, 1)
}

func replaceMatches(text string, re *regexp.Regexp, with string, most int) (string, error) {
	parts, err := expansions(with, re)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	end := 0
	for _, match := range re.FindAllStringSubmatchIndex(text, most) {
		out.WriteString(text[end:match[0]])
		end = match[1]
		for _, part := range parts {
			switch {
			case part.group < 0:
				out.WriteString(part.text)
			case match[2*part.group] >= 0:
				out.WriteString(text[match[2*part.group]:match[2*part.group+1]])
			}
		}
		if out.Len() > maxText {
			return "", errTooLong
		}
	}
	out.WriteString(text[end:])
	return out.String(), nil
}

// split is that of expr: a plain separator, every part.
func split(text, separator string) ([]string, error) { return strings.Split(text, separator), nil }

func splitFew(text, separator string, most int) ([]string, error) {
	return strings.SplitN(text, separator, most), nil
}

// splitJava is String.split: a pattern, and no empty parts at the end.
func splitJava(text string, re *regexp.Regexp) ([]string, error) { return splitJavaFew(text, re, 0) }

func splitJavaFew(text string, re *regexp.Regexp, most int) ([]string, error) {
	var parts []string
	begin := 0
	for _, match := range re.FindAllStringIndex(text, -1) {
		if match[1] == 0 {
			continue // A match of nothing at the beginning makes no empty part.
		}
		if most > 0 && len(parts) == most-1 {
			break
		}
		parts = append(parts, text[begin:match[0]])
		begin = match[1]
	}
	parts = append(parts, text[begin:])
	if most == 0 {
		for len(parts) > 1 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
	}
	return parts, nil
}

func joinPlain(list []string) (string, error) { return join(list, "") }

func join(list []string, separator string) (string, error) {
	size := 0
	for _, part := range list {
		size += len(part) + len(separator)
	}
	if size > maxText {
		return "", errTooLong
	}
	return strings.Join(list, separator), nil
}

// element counts from the end when at is negative.
func element(list []string, at int) (string, error) {
	from := at
	if from < 0 {
		from += len(list)
	}
	if from < 0 || from >= len(list) {
		return "", fmt.Errorf("[%d] is out of range of %d parts", at, len(list))
	}
	return list[from], nil
}

func first(list []string) (string, error)   { return element(list, 0) }
func last(list []string) (string, error)    { return element(list, -1) }
func listLength(list []string) (int, error) { return len(list), nil }
