package dashboard_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast computes WCAG 2.2's contrast ratio for each pair of text and
// background that the style sheet combines, in both modes: at least 4.5 (AA).
func TestContrast(t *testing.T) {
	engine := serve(t, sample())
	name := regexp.MustCompile(`/static/style\.[0-9a-f]+\.css`).FindString(text(t, get(t, engine, "/")))
	light, rest, _ := strings.Cut(text(t, get(t, engine, name)), "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "* { box-sizing")
	pairs := []string{"text bg", "text surface", "text sunken", "dim bg", "dim surface", "dim sunken", "link bg", "link surface", "link sunken", "surface link", "surface bad", "bad surface", "ok bg", "text one-bg", "dim one-bg"}
	for _, name := range []string{"ok", "bad", "one", "none", "m0", "m1", "m2", "m3", "m4", "m5"} {
		pairs = append(pairs, name+" "+name+"-bg")
	}
	for mode, colours := range map[string]map[string]string{"light": tokens(light), "dark": tokens(dark)} {
		for _, pair := range pairs {
			ink, paper, _ := strings.Cut(pair, " ")
			if got := contrast(t, colours[ink], colours[paper]); got < 4.5 {
				t.Errorf("%s: %s (%s) on %s (%s) has a contrast of %.2f", mode, ink, colours[ink], paper, colours[paper], got)
			}
		}
	}
}

func tokens(css string) map[string]string {
	m := map[string]string{}
	for _, token := range regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{3,6});`).FindAllStringSubmatch(css, -1) {
		m[token[1]] = token[2]
	}
	return m
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is defined at https://www.w3.org/TR/WCAG22/#dfn-relative-luminance.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	hex := strings.TrimPrefix(colour, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) != 6 {
		t.Fatalf("%q is no colour", colour)
	}
	sum := 0.0
	for i, weight := range []float64{0.0722, 0.7152, 0.2126} {
		c := float64(n>>(8*i)&0xff) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
