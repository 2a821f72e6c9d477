// What the real text/template writes for the cases of these tests.
//
// Standard input holds JSON: a list of cases. Standard output gets the same list, each case with "expected", or with
// "fails" if the template can't be parsed or executed. tests/gotemplate/regenerate.py runs this.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
	"text/template/parse"
)

type call struct {
	ID       string         `json:"id,omitempty"`
	Function calledFunction `json:"function"`
}

type calledFunction struct {
	Index     int       `json:"index"`
	Name      string    `json:"name"`
	Arguments arguments `json:"arguments"`
}

type arguments map[string]any

func (a arguments) String() string { return asJSON(a) }

type message struct {
	Role       string   `json:"role"`
	Content    string   `json:"content"`
	Thinking   string   `json:"thinking,omitempty"`
	Images     []string `json:"images,omitempty"`
	ToolCalls  []call   `json:"tool_calls,omitempty"`
	ToolName   string   `json:"tool_name,omitempty"`
	ToolCallID string   `json:"tool_call_id,omitempty"`
}

type tools []tool

func (t tools) String() string { return asJSON(t) }

type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

func (t tool) String() string { return asJSON(t) }

type function struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Parameters  parameters `json:"parameters"`
}

func (f function) String() string { return asJSON(f) }

type parameters struct {
	Type       string     `json:"type"`
	Defs       any        `json:"$defs,omitempty"`
	Items      any        `json:"items,omitempty"`
	Required   []string   `json:"required,omitempty"`
	Properties properties `json:"properties"`
}

func (p parameters) String() string { return asJSON(p) }

type properties map[string]property

func (p properties) String() string { return asJSON(p) }

type types []string

func (t types) String() string {
	if len(t) == 1 {
		return t[0]
	}
	if len(t) == 0 {
		return ""
	}
	return fmt.Sprint([]string(t))
}

func (t types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

func (t *types) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

type property struct {
	AnyOf       []property `json:"anyOf,omitempty"`
	Type        types      `json:"type,omitempty"`
	Items       any        `json:"items,omitempty"`
	Description string     `json:"description,omitempty"`
	Enum        []any      `json:"enum,omitempty"`
	Properties  properties `json:"properties,omitempty"`
	Required    []string   `json:"required,omitempty"`
}

func (p property) String() string { return asJSON(p) }

func (p property) ToTypeScriptType() string {
	names := map[string]string{
		"string": "string", "number": "number", "integer": "number", "boolean": "boolean",
		"array": "any[]", "object": "Record<string, any>", "null": "null",
	}
	var found []string
	for _, one := range p.AnyOf {
		found = append(found, one.ToTypeScriptType())
	}
	for _, one := range p.Type {
		if name, ok := names[one]; len(p.AnyOf) == 0 && ok {
			found = append(found, name)
		} else if len(p.AnyOf) == 0 {
			found = append(found, "any")
		}
	}
	if len(found) == 0 {
		return "any"
	}
	return strings.Join(found, " | ")
}

// A test: a template with plain data, or with a chat, or with the two sides of a gap.
type testCase struct {
	Template string  `json:"template"`
	Data     any     `json:"data,omitempty"`
	Chat     *chat   `json:"chat,omitempty"`
	Expected *string `json:"expected,omitempty"`
	Fails    bool    `json:"fails,omitempty"`
}

type chat struct {
	Messages []message `json:"messages,omitempty"`
	Tools    tools     `json:"tools,omitempty"`
	Think    any       `json:"think,omitempty"`
	Prompt   string    `json:"prompt,omitempty"`
	Suffix   string    `json:"suffix,omitempty"`
}

// The date is another one every day.
var functions = template.FuncMap{
	"json":          asJSON,
	"currentDate":   func(...string) string { return "2026-11-26" },
	"yesterdayDate": func(...string) string { return "2026-11-25" },
	"toTypeScriptType": func(value any) string {
		if one, ok := value.(property); ok {
			return one.ToTypeScriptType()
		}
		return "any"
	},
}

func asJSON(value any) string {
	data, _ := json.Marshal(value)
	return string(data)
}

// Numbers without a point are integers in the plain data.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, item := range value {
			value[key] = plain(item)
		}
	case []any:
		for place, item := range value {
			value[place] = plain(item)
		}
	case json.Number:
		if number, err := value.Int64(); err == nil {
			return int(number)
		}
		number, _ := value.Float64()
		return number
	}
	return value
}

func (c *chat) variables(more map[string]any) map[string]any {
	level, isLevel := c.Think.(string)
	isOn, isSwitch := c.Think.(bool)
	if isOn {
		level = "medium"
	}
	more["Think"], more["ThinkLevel"], more["IsThinkSet"] = isOn || level != "", level, isLevel || isSwitch
	return more
}

func (c *chat) write(out *strings.Builder, parsed *template.Template) error {
	names := map[string]bool{}
	for _, one := range parsed.Templates() {
		if one.Tree != nil {
			namesIn(one.Root, names)
		}
	}
	if !names["Messages"] && !names["Response"] {
		ending := template.Must(template.New("").Parse("{{ .Response }}"))
		parsed.Root.Nodes = append(parsed.Root.Nodes, ending.Root.Nodes...)
	}
	if c.Prompt != "" && c.Suffix != "" {
		return parsed.Execute(out, c.variables(map[string]any{"Prompt": c.Prompt, "Suffix": c.Suffix, "Response": ""}))
	}
	system, turns := []string{}, []*message{}
	for place := range c.Messages {
		one := &c.Messages[place]
		if one.Role == "system" {
			system = append(system, one.Content)
		}
		if last := len(turns) - 1; last >= 0 && turns[last].Role == one.Role && one.Role != "tool" {
			turns[last].Content += "\n\n" + one.Content
		} else {
			turns = append(turns, one)
		}
	}
	if names["Messages"] {
		return parsed.Execute(out, c.variables(map[string]any{
			"System": strings.Join(system, "\n\n"), "Messages": turns, "Tools": c.Tools, "Response": "",
		}))
	}
	var group [3]string
	flush := func() error {
		defer func() { group = [3]string{} }()
		return parsed.Execute(out, c.variables(map[string]any{
			"System": group[0], "Prompt": group[1], "Response": group[2],
		}))
	}
	for _, one := range turns {
		var err error
		switch one.Role {
		case "system":
			if group[1] != "" || group[2] != "" {
				err = flush()
			}
			group[0] = one.Content
		case "user":
			if group[2] != "" {
				err = flush()
			}
			group[1] = one.Content
		case "assistant":
			group[2] = one.Content
		}
		if err != nil {
			return err
		}
	}
	isOver := false
	cut(parsed.Root, &isOver)
	return flush()
}

// The names of all fields below a node.
func namesIn(node parse.Node, names map[string]bool) {
	for _, one := range strings.FieldsFunc(node.String(), func(r rune) bool { return strings.ContainsRune("{}() $|\n", r) }) {
		for _, name := range strings.Split(one, ".") {
			if strings.Contains(one, "."+name) {
				names[name] = true
			}
		}
	}
}

// Drops what comes after the first action with .Response.
func cut(list *parse.ListNode, isOver *bool) {
	if list == nil {
		return
	}
	var kept []parse.Node
	for _, node := range list.Nodes {
		if *isOver {
			break
		}
		kept = append(kept, node)
		switch node := node.(type) {
		case *parse.ActionNode:
			*isOver = strings.Contains(node.String(), ".Response")
		case *parse.IfNode:
			cut(node.List, isOver)
			cut(node.ElseList, isOver)
		case *parse.WithNode:
			cut(node.List, isOver)
			cut(node.ElseList, isOver)
		case *parse.RangeNode:
			cut(node.List, isOver)
			cut(node.ElseList, isOver)
		}
	}
	list.Nodes = kept
}

func run(one *testCase) {
	var out strings.Builder
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(one.Template)
	if err == nil && one.Chat != nil {
		err = one.Chat.write(&out, parsed)
	} else if err == nil {
		err = parsed.Execute(&out, plain(one.Data))
	}
	if one.Fails = err != nil; !one.Fails {
		text := strings.ToValidUTF8(out.String(), "\uFFFD")
		one.Expected = &text
	}
}

func main() {
	fmt.Println("[")
	defer fmt.Println("]")
	decoder := json.NewDecoder(os.Stdin)
	var raw []json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		panic(err)
	}
	for place, data := range raw {
		var one testCase
		decoder := json.NewDecoder(strings.NewReader(string(data)))
		var head struct{ Chat json.RawMessage }
		if err := json.Unmarshal(data, &head); err != nil {
			panic(err)
		}
		if head.Chat == nil {
			decoder.UseNumber()
		}
		if err := decoder.Decode(&one); err != nil {
			panic(err)
		}
		run(&one)
		ending := ","
		if place == len(raw)-1 {
			ending = ""
		}
		var line strings.Builder
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		result := map[string]any{"fails": true}
		if !one.Fails {
			result = map[string]any{"expected": *one.Expected}
		}
		if err := encoder.Encode(result); err != nil {
			panic(err)
		}
		fmt.Printf("%s%s\n", strings.TrimSpace(line.String()), ending)
	}
}
