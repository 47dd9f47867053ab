"""The admin: history, one generation, credits, media. Parses, calls one service, renders.

Nothing here decides anything about a generation, and no field of a row is ever changed here.
"""

from django.contrib import admin

from creatify_textgen.admin.generations import GenerationAdmin
from creatify_textgen.admin.media import MediaAdmin
from creatify_textgen.admin.usage import UsageDayAdmin
from creatify_textgen.models import Generation, Media, UsageDay

__all__ = ["GenerationAdmin", "MediaAdmin", "UsageDayAdmin"]

admin.site.register(Generation, GenerationAdmin)
admin.site.register(Media, MediaAdmin)
admin.site.register(UsageDay, UsageDayAdmin)
