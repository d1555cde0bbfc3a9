package space

// nearest returns the known name with the smallest edit distance to name, or "" when even that one needs more
// than a third of its letters changed: a wild guess helps nobody.
func nearest(name string, known []string) string {
	// The length bound keeps the cost of a hostile input low; no name is that long.
	if name == "" || len(name) > 64 {
		return ""
	}
	best, bestDistance := "", 0
	for _, k := range known {
		if d := editDistance(name, k); 3*d <= len(k) && (best == "" || d < bestDistance) {
			best, bestDistance = k, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
