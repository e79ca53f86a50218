package field

import (
	"fmt"
	"strings"
)

// Nearest returns the known name that looks most like a slip of name: one that
// differs by case, or by few letters for its length. It is empty when none does.
func Nearest(name string, known []string) string {
	best, least := "", len([]rune(name))/3+1
	for _, candidate := range known {
		if strings.EqualFold(candidate, name) {
			return candidate
		}
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d <= least && d < len(candidate) {
			if best == "" || d < least {
				best, least = candidate, d
			}
		}
	}
	return best
}

// Suggest is the question that an error about an unknown name ends with; empty
// when no known name is near.
func Suggest(name string, known []string) string {
	nearest := Nearest(name, known)
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", nearest)
}

// distance counts the letters to insert, delete, replace or swap with the next.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	before, last, row := make([]int, len(to)+1), make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range from {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range to {
			cost := 1
			if from[i] == to[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && from[i] == to[j-1] && from[i-1] == to[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(to)]
}
