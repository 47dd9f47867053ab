"""The admin: history, one generation, credits, media. Parses, calls one service, renders.

Nothing here decides anything about a generation, and no field of a row is ever changed here.
"""

from django.apps import apps
from django.contrib import admin

from creatify_textgen.admin.budgets import BudgetAdmin
from creatify_textgen.admin.bulk_jobs import BulkJobAdmin
from creatify_textgen.admin.conversations import ConversationAdmin
from creatify_textgen.admin.history import GenerationAdmin
from creatify_textgen.admin.media import MediaAdmin
from creatify_textgen.admin.runs import RunAdmin, ToolCallAdmin
from creatify_textgen.admin.usage import UsageDayAdmin
from creatify_textgen.chat import Conversation, Run, ToolCall
from creatify_textgen.models import Budget, BulkJob, Generation, Media, UsageDay

__all__ = [
    "BudgetAdmin",
    "BulkJobAdmin",
    "ConversationAdmin",
    "GenerationAdmin",
    "MediaAdmin",
    "RunAdmin",
    "ToolCallAdmin",
    "UsageDayAdmin",
]

# A site without the admin loads this, too: Django reads the tags of every app for any template.
if apps.is_installed("django.contrib.admin"):
    admin.site.register(Budget, BudgetAdmin)
    admin.site.register(BulkJob, BulkJobAdmin)
    admin.site.register(Conversation, ConversationAdmin)
    admin.site.register(Generation, GenerationAdmin)
    admin.site.register(Media, MediaAdmin)
    admin.site.register(Run, RunAdmin)
    admin.site.register(ToolCall, ToolCallAdmin)
    admin.site.register(UsageDay, UsageDayAdmin)
