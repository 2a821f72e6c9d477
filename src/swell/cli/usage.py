"""The answers to `/?` in a conversation."""

OVERVIEW = '''\
Available Commands:
  /set            Set session variables
  /show           Show model information
  /load <model>   Load another model, and begin anew
  /save <model>   Make a model of this conversation
  /list           List the models there are
  /clear          Clear session context
  /bye            Exit
  /?, /help       Help for a command
  /? shortcuts    Help for keyboard shortcuts

Use """ to begin a multi-line message.
'''

SET = """\
Available Commands:
  /set parameter ...     Set a parameter
  /set system <string>   Set system message
  /set history           Keep what is typed for the next conversation
  /set nohistory         Don't keep what is typed
  /set wordwrap          Enable wordwrap
  /set nowordwrap        Disable wordwrap
  /set format json       Enable JSON mode
  /set noformat          Disable formatting
  /set verbose           Show timings after answers
  /set quiet             Don't show timings
  /set think [level]     Let the model think; how hard is low, medium, high or max
  /set nothink           Don't let the model think
"""

SHOW = """\
Available Commands:
  /show info         Show details for this model
  /show license      Show model license
  /show modelfile    Show Modelfile for this model
  /show parameters   Show parameters for this model
  /show system       Show system message
  /show template     Show prompt template
"""

SHORTCUTS = """\
Available keyboard shortcuts:
  Ctrl + a            Move to the beginning of the line (Home)
  Ctrl + e            Move to the end of the line (End)
   Alt + b            Move back one word
   Alt + f            Move forward one word
  Ctrl + k            Delete what is after the cursor
  Ctrl + u            Delete what is before the cursor
  Ctrl + w            Delete the word before the cursor
  Ctrl + p            The line before in the history (Up)
  Ctrl + n            The next line in the history (Down)
  Ctrl + r            Search the history
  Ctrl + j            Begin a new line of the message
  Ctrl + g            Go on in an editor

  Ctrl + l            Clear the screen
  Ctrl + c            Stop the model from responding
  Ctrl + d            Exit (/bye)
"""

PARAMETERS = """\
Available Parameters:
  /set parameter seed <int>                   Random number seed
  /set parameter num_predict <int>            How many tokens an answer may have
  /set parameter top_k <int>                  Pick from the k likeliest tokens
  /set parameter top_p <float>                Pick from the likeliest tokens that make up so much together
  /set parameter min_p <float>                Pick from tokens that have so much of the likeliest one's chance
  /set parameter num_ctx <int>                Ceiling of the context, in tokens
  /set parameter temperature <float>          How freely to pick
  /set parameter repeat_penalty <float>       How strongly to avoid repetitions
  /set parameter repeat_last_n <int>          How far back to look for repetitions
  /set parameter num_gpu <int>                How many layers go to devices
  /set parameter stop <string> <string> ...   What ends an answer
"""

TOPICS = {"set": SET, "show": SHOW, "shortcut": SHORTCUTS, "shortcuts": SHORTCUTS}
"""What may follow `/?`."""
