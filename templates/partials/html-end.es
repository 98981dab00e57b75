</td></tr>
<tr><td style="padding:16px 32px 24px;border-top:1px solid #d8dde3;font:13px/19px Arial,Helvetica,sans-serif;color:#5a6672;">
<p style="margin:0 0 8px;">Recibe este correo porque eligió el correo electrónico para «{{product.title}}».{{#preferences_url}} Puede <a href="{{preferences_url}}" style="color:#12355b;">cambiar su elección</a> cuando quiera.{{/preferences_url}}{{^preferences_url}} Puede cambiar su elección cuando quiera en su banca en línea, en Mensajes.{{/preferences_url}}</p>
<p style="margin:0 0 8px;">Nunca le pediremos su PIN ni su contraseña por correo, SMS o teléfono.</p>
<p style="margin:0;">Example Bank · Plaza del Mercado 1 · Exampletown · Mensaje {{message.id}}</p>
</td></tr>
</table>
</td></tr>
</table>
</body>
