package aggregator

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// EnvironmentPrefix begins the names of the environment variables that are settings: the
// setting's name follows in upper case, with _ in place of dots.
const EnvironmentPrefix = "REPRONET_AGGREGATOR_"

// Settings are a [Config] that is laid over itself in steps, which remembers where each
// setting was given. What a setting is called follows from the fields of Config and their
// yaml tags; there is no second list of them.
type Settings struct {
	Config Config
	places map[string]string // setting → where it was given: file:line, a variable, a flag
}

// NewSettings returns the defaults.
func NewSettings() *Settings { return &Settings{DefaultConfig(), map[string]string{}} }

// LoadSettings lays a YAML file (none if path is "") and the environment (as os.Environ
// has it) over the defaults. A setting that does not exist is an error in both.
func LoadSettings(path string, environment []string) (*Settings, error) {
	s := NewSettings()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		if err := s.file(path, text); err != nil {
			return nil, err
		}
	}
	return s, s.environment(environment)
}

// Validate reports the first setting that cannot work, and where it was given.
func (s *Settings) Validate() error {
	err := s.Config.Validate()
	wrong, ok := errors.AsType[*SettingError](err)
	if !ok {
		return err
	}
	return s.placed(wrong)
}

// placed says where a wrong setting was given.
func (s *Settings) placed(wrong *SettingError) error {
	place, known := s.places[wrong.Setting]
	if !known {
		return wrong
	}
	return fmt.Errorf("%s: setting %w", place, wrong)
}

// Set gives a setting its value as text, at a place that errors name. Lists have commas
// between their items.
func (s *Settings) Set(name, value, place string) error {
	field, err := lookUp(reflect.ValueOf(&s.Config).Elem(), strings.Split(name, "."))
	if err == nil {
		err = setText(field, value)
	}
	if err != nil {
		return fmt.Errorf("%s: setting %s: %w", place, name, err)
	}
	s.places[name] = place
	return nil
}

var errNoSuchSetting = errors.New("there is no such setting")

// lookUp finds the field of a setting.
func lookUp(section reflect.Value, path []string) (reflect.Value, error) {
	field := fieldOf(section, path[0])
	switch {
	case !field.IsValid():
		return field, errNoSuchSetting
	case len(path) == 1:
		return field, nil
	case field.Kind() != reflect.Struct:
		return field, errNoSuchSetting
	}
	return lookUp(field, path[1:])
}

// fieldOf returns the field with a yaml tag; the zero Value if there is none.
func fieldOf(section reflect.Value, name string) reflect.Value {
	for i := range section.NumField() {
		if tag := section.Type().Field(i).Tag.Get("yaml"); tag == name && tag != "-" {
			return section.Field(i)
		}
	}
	return reflect.Value{}
}

func namesOf(section reflect.Type) (names []string) {
	for field := range section.Fields() {
		if tag := field.Tag.Get("yaml"); tag != "-" {
			names = append(names, tag)
		}
	}
	return names
}

// setText reads a setting's value.
func setText(field reflect.Value, text string) error {
	if reader, ok := reflect.TypeAssert[encoding.TextUnmarshaler](field.Addr()); ok {
		return reader.UnmarshalText([]byte(text))
	}
	switch field.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a time such as 1s, 5m or 24h", text)
		}
		field.SetInt(int64(d))
	case string:
		field.SetString(text)
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		field.SetBool(b)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		field.SetInt(int64(n))
	case []string:
		field.Set(reflect.ValueOf(strings.Split(text, ",")))
	default:
		return errors.New("it has parts of its own, which only a YAML file can give")
	}
	return nil
}

// kubernetesLink fits the variables that Kubernetes gives every container for each Service,
// here for one that is called repronet-aggregator, without the prefix
// (https://kubernetes.io/docs/tutorials/services/connect-applications-service/).
var kubernetesLink = regexp.MustCompile(`^([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$`)

// environment lays variables over the settings.
func (s *Settings) environment(environment []string) error {
	names := map[string]string{} // variable → setting
	settingVariables("", reflect.TypeFor[Config](), names)
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		rest, ours := strings.CutPrefix(name, EnvironmentPrefix)
		if !ours || value == "" || kubernetesLink.MatchString(rest) {
			continue
		}
		setting, known := names[rest]
		if !known {
			return fmt.Errorf("environment variable %s is no setting: want %s and one of %s; unset it if it is for something else",
				name, EnvironmentPrefix, strings.Join(sortedKeys(names), ", "))
		}
		if err := s.Set(setting, value, "environment variable "+name); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// settingVariables lists the settings that a variable can give.
func settingVariables(section string, fields reflect.Type, names map[string]string) {
	for field := range fields.Fields() {
		tag := field.Tag.Get("yaml")
		if tag == "-" {
			continue
		}
		switch kind := field.Type; {
		case kind.Kind() == reflect.Struct:
			settingVariables(section+tag+".", kind, names)
		case kind.Kind() == reflect.Slice && kind.Elem().Kind() != reflect.String: // only a file can give it
		default:
			names[strings.ToUpper(strings.ReplaceAll(section+tag, ".", "_"))] = section + tag
		}
	}
}

// file lays a YAML file over the settings.
func (s *Settings) file(path string, text []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) == 0 {
		return nil // empty
	}
	r := yamlReader{s, path}
	return r.section(document.Content[0], reflect.ValueOf(&s.Config).Elem(), "")
}

// A yamlReader puts nodes of a file into the settings. Its errors name file and line.
type yamlReader struct {
	settings *Settings
	path     string
}

func (r yamlReader) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", r.path, node.Line) }

// section reads a mapping into the fields of a struct; prefix is the section's name with a
// dot, or empty.
func (r yamlReader) section(node *yaml.Node, fields reflect.Value, prefix string) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: want lines of the form 'setting: value' here, for %s", r.at(node), strings.Join(namesOf(fields.Type()), ", "))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field := fieldOf(fields, key.Value)
		if !field.IsValid() {
			return fmt.Errorf("%s: there is no setting %q: want one of %s", r.at(key), prefix+key.Value, strings.Join(namesOf(fields.Type()), ", "))
		}
		if line, twice := seen[key.Value]; twice {
			return fmt.Errorf("%s: setting %s is given in line %d already", r.at(key), prefix+key.Value, line)
		}
		seen[key.Value] = key.Line
		r.settings.places[prefix+key.Value] = r.at(key)
		if err := r.value(value, field, prefix+key.Value); err != nil {
			return err
		}
	}
	return nil
}

func (r yamlReader) value(node *yaml.Node, field reflect.Value, name string) error {
	if node.Kind == yaml.AliasNode {
		return r.value(node.Alias, field, name)
	}
	switch {
	case field.Kind() == reflect.Struct:
		return r.section(node, field, name+".")
	case field.Kind() == reflect.Slice:
		return r.list(node, field, name)
	case node.Kind != yaml.ScalarNode:
		return fmt.Errorf("%s: setting %s: want one value, not a list or a section", r.at(node), name)
	case node.Tag == "!!null":
		return nil
	}
	if err := setText(field, node.Value); err != nil {
		return fmt.Errorf("%s: setting %s: %w", r.at(node), name, err)
	}
	return nil
}

func (r yamlReader) list(node *yaml.Node, field reflect.Value, name string) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		return fmt.Errorf("%s: setting %s: want a list, each item in a line that begins with '- '", r.at(node), name)
	}
	field.SetZero()
	for _, item := range node.Content {
		field.Grow(1)
		field.SetLen(field.Len() + 1)
		last := field.Index(field.Len() - 1)
		last.SetZero()
		if err := r.value(item, last, name); err != nil {
			return err
		}
	}
	return nil
}
