package answers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Comparison is what two versions' answers to the same questions come to.
type Comparison struct {
	Same int // questions with the same answer, byte for byte
	// Different says which answers differ, and where first.
	Different []string
	// Added are the fields of JSON documents that only the newer version has, each
	// once, and the questions that only it was asked.
	Added []string
}

// Compare compares the answers of an older version with those of a newer one. Answers
// are the same byte for byte, or JSON documents in which the newer has all that the
// older has, number for number and string for string.
func Compare(older, newer Answers) Comparison {
	var c Comparison
	added := map[string]bool{}
	for _, question := range slices.Sorted(maps.Keys(older)) {
		was, is := older[question], newer[question]
		switch _, asked := newer[question]; {
		case !asked:
			c.Different = append(c.Different, question+": the newer version was not asked, or has no such thing")
		case was == is:
			c.Same++
		default:
			if where := differ(sameMeaning(question, was), sameMeaning(question, is), added); where != "" {
				c.Different = append(c.Different, question+": "+where)
			}
		}
	}
	for question := range newer {
		if _, asked := older[question]; !asked {
			added[question] = true
		}
	}
	c.Added = slices.Sorted(maps.Keys(added))
	return c
}

// changedMeaning has the fields whose meaning a version changed on purpose, by the beginning
// of the questions, with what the changelog says of it. Only their names are the same.
var changedMeaning = map[string][]string{
	// After 0.1.0 they count those who spoke about the set's members, before all.
	"/api/v1/summary?set=": {"attestations", "builders", "observations", "operators"},
	// After 0.1.0 a claim that was withdrawn is not shown to count.
	"/api/v1/builders/": {"recent/*/counts"},
}

// sameMeaning returns an answer without the fields whose meaning has changed.
func sameMeaning(question, answer string) string {
	for begins, fields := range changedMeaning {
		if !strings.HasPrefix(question, begins) {
			continue
		}
		lines := strings.Split(answer, "\n")
		for i, line := range lines {
			value, err := decode(line)
			if err != nil {
				continue
			}
			for _, field := range fields {
				without(value, strings.Split(field, "/"))
			}
			text, err := json.Marshal(value)
			if err == nil {
				lines[i] = string(text)
			}
		}
		answer = strings.Join(lines, "\n")
	}
	return answer
}

// without deletes the fields at a path, in which * is each item of a list.
func without(value any, path []string) {
	switch value := value.(type) {
	case map[string]any:
		if len(path) == 1 {
			delete(value, path[0])
			return
		}
		without(value[path[0]], path[1:])
	case []any:
		if path[0] != "*" {
			return
		}
		for _, item := range value {
			without(item, path[1:])
		}
	}
}

// differ says where two answers differ first, "" if the newer only has more fields.
// Answers are lines, some of them JSON.
func differ(was, is string, added map[string]bool) string {
	before, after := strings.Split(was, "\n"), strings.Split(is, "\n")
	for i := range min(len(before), len(after)) {
		if before[i] == after[i] {
			continue
		}
		old, err := decode(before[i])
		current, also := decode(after[i])
		if err != nil || also != nil {
			return fmt.Sprintf("line %d: was %s, is %s", i+1, short(before[i]), short(after[i]))
		}
		if where := lacking("", old, current, added); where != "" {
			return fmt.Sprintf("line %d: %s", i+1, where)
		}
	}
	if len(before) != len(after) {
		return fmt.Sprintf("had %d lines, has %d", len(before), len(after))
	}
	return ""
}

// lacking says where the newer of two JSON values has not what the older has.
func lacking(path string, old, current any, added map[string]bool) string {
	switch old := old.(type) {
	case map[string]any:
		fields, ok := current.(map[string]any)
		if !ok {
			break
		}
		for name := range fields {
			if _, had := old[name]; !had {
				added["field "+generic(path+"/"+name)] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(old)) {
			value, has := fields[name]
			if !has {
				return fmt.Sprintf("%s/%s is gone", path, name)
			}
			if where := lacking(path+"/"+name, old[name], value, added); where != "" {
				return where
			}
		}
		return ""
	case []any:
		items, ok := current.([]any)
		if !ok || len(items) != len(old) {
			break
		}
		for i := range old {
			if where := lacking(fmt.Sprintf("%s/%d", path, i), old[i], items[i], added); where != "" {
				return where
			}
		}
		return ""
	default:
		if old == current {
			return ""
		}
	}
	return fmt.Sprintf("%s: was %s, is %s", path, shortJSON(old), shortJSON(current))
}

// generic replaces the indices in a path, so that a field is added once.
func generic(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// decode reads a JSON value with its numbers as they are written.
func decode(text string) (value any, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func shortJSON(value any) string {
	text, _ := json.Marshal(value) // it was read from JSON
	return short(string(bytes.TrimSpace(text)))
}

// short cuts what is too long for a message.
func short(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
